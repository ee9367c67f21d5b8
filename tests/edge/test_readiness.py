"""When a worker may be sent traffic, as far as the log of revocations decides it."""

import time
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.config.load import load
from gateway.stores import MemoryStore
from gateway.stores.base import RevocationSink

CONFIG = """
store: {{on_outage: {on_outage}}}
upstreams: {{app: {{servers: ["http://127.0.0.1:1"]}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""
NOT_LOADED = "revocations are not loaded yet"


class Unread(MemoryStore):
    """A store whose log takes its time."""

    is_local = False

    def tell(self, sink: RevocationSink) -> None:
        self.sink = sink


@pytest.mark.parametrize("on_outage", ["deny", "allow"])
async def test_a_worker_is_not_ready_before_the_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_outage: str
) -> None:
    store = Unread(wall=time.time)
    monkeypatch.setattr("gateway.app.state.open_store", lambda _: store)
    monkeypatch.setattr("gateway.app.gateway.STORE_AT_START", 0.0)
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(on_outage=on_outage))
    gateway = Gateway(load(file, environ={}).config)
    assert gateway.unready_because() == "starting or stopping"
    await gateway.start()
    try:
        assert gateway.unready_because() == NOT_LOADED
        store.is_up = False
        assert gateway.unready_because() == (NOT_LOADED if on_outage == "deny" else None)
        store.is_up = True
        assert gateway.unready_because() == NOT_LOADED
        store.sink.confirm()
        assert gateway.unready_because() is None
    finally:
        await gateway.stop()
    assert gateway.unready_because() == "starting or stopping"
