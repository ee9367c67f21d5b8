"""A gateway that stops while an upstream refreshes: what is spent there is recorded here first."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.config.load import load
from gateway.stores import MemoryStore
from tests.endpoints.driving import REFRESH, pair, said
from tests.factories import SECRET
from tests.servers import Upstreamed, scripted

CONFIG = """
server: {{graceful_shutdown: {patience}}}
logging: {{access_log: false}}
issuers: {{students: {{verifying_key: {key}, endpoints: {{refresh: {path}}}}}}}
upstreams: {{students: {{servers: ["http://127.0.0.1:{port}"]}}}}
routes: [{{path: /, auth: none, upstream: students}}]
"""


@dataclass
class Slow:
    """An app that refreshes when it is let."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, connection: Upstreamed) -> None:
        await connection.head()
        self.asked.set()
        await self.may_answer.wait()
        await connection.send(said(pair()))


@contextlib.asynccontextmanager
async def refreshing(directory: Path, app: Slow, patience: str) -> AsyncIterator[Gateway]:
    """A gateway that has asked the app to refresh, for a client that has left."""
    async with scripted(app) as upstream:
        file = directory / "config.yaml"
        file.write_text(
            CONFIG.format(patience=patience, key=SECRET, path=REFRESH, port=upstream.port)
        )
        gateway = Gateway(load(file, environ={}).config)
        await gateway.start()
        client = asyncio.create_task(ask(gateway, pair()["refresh"]))
        await asyncio.wait_for(app.asked.wait(), 2)
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        yield gateway


async def ask(gateway: Gateway, token: str) -> None:
    body = json.dumps({"refresh": token}).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not messages:
            await asyncio.sleep(30)
        return messages.pop()

    async def send(message: Any) -> None:
        raise AssertionError("the client is gone")

    await gateway(
        {
            "type": "http", "method": "POST", "scheme": "http", "path": REFRESH,
            "query_string": b"", "client": ("127.0.0.1", 50000), "http_version": "1.1",
            "headers": [
                (b"host", b"app.example"), (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
        },
        receive,
        send,
    )  # fmt: skip


def recorded(gateway: Gateway) -> int:
    assert isinstance(gateway.store, MemoryStore)
    return len(gateway.store._answers)


async def test_a_stop_lets_a_refresh_end(tmp_path: Path) -> None:
    app = Slow()
    async with refreshing(tmp_path, app, "5s") as gateway:
        stop = asyncio.create_task(gateway.stop())
        await asyncio.sleep(0.05)
        assert (stop.done(), recorded(gateway)) == (False, 0)
        app.may_answer.set()
        await asyncio.wait_for(stop, 2)
        assert recorded(gateway) == 1


async def test_a_stop_has_the_time_that_draining_has_left(tmp_path: Path) -> None:
    async with refreshing(tmp_path, Slow(), "200ms") as gateway:
        gateway.drain()
        await asyncio.sleep(0.15)
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(gateway.stop(), 2)
        took = asyncio.get_running_loop().time() - began
        assert 0.02 < took < 0.15
        assert recorded(gateway) == 0


@pytest.mark.parametrize("patience", ["0s", "50ms"])
async def test_a_refresh_that_takes_too_long_gives_its_claim_back(
    tmp_path: Path, patience: str
) -> None:
    async with refreshing(tmp_path, Slow(), patience) as gateway:
        [session] = _sessions(gateway)
        assert session.owner
        await asyncio.wait_for(gateway.stop(), 2)
        assert not session.owner


def _sessions(gateway: Gateway) -> list[Any]:
    assert isinstance(gateway.store, MemoryStore)
    parts = gateway.store._ledger._sessions._parts
    return [session for part in parts for _, session in part.values()]
