"""The supervisor and its workers, real processes, where a configuration can't be used by them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app.supervisor import Supervisor
from gateway.config import Config, load
from gateway.edge.ports import listen_together
from tests.factories import SECRET

FILE = """
server: {{workers: 2, graceful_shutdown: 1s}}
store: {{url: "redis://127.0.0.1:1/0"}}
logging: {{access_log: false}}
issuers: {{students: {{signing_key: {key}, upstream: app}}}}
upstreams: {{app: {{servers: ["http://127.0.0.1:1"]}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""


def config(directory: Path, key: str = SECRET) -> Config:
    """Without `judge_keys`: that the key is unfit is found by who loads it."""
    file = directory / "config.yaml"
    file.write_text(FILE.format(key=key))
    return load(file, environ={}).config


@contextlib.asynccontextmanager
async def supervisor_of(config: Config) -> AsyncIterator[tuple[Supervisor, int]]:
    listeners = listen_together("127.0.0.1", 0, config.server.workers)
    supervisor = Supervisor(config, listeners)
    try:
        yield supervisor, listeners[0].getsockname()[1]
    finally:
        await supervisor.stop()


async def status(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return line.split()[1]


async def test_a_start_that_one_worker_can_not_make_is_made_by_none(tmp_path: Path) -> None:
    async with supervisor_of(config(tmp_path, key="short")) as (supervisor, port):
        why = await supervisor.start()

        assert why is not None
        assert why.startswith("worker 1: issuer 'students': signing_key ")
        assert "short" not in why.replace("shorter", "")
        assert repr(supervisor) == "<Supervisor 0 of 2 workers serving>"
        assert await supervisor.unready_because() == "starting or stopping"
        with pytest.raises(ConnectionRefusedError):
            await status(port)


async def test_what_workers_refuse_is_in_force_in_none(tmp_path: Path) -> None:
    good = config(tmp_path)
    async with supervisor_of(good) as (supervisor, port):
        assert await supervisor.start() is None

        whys = await supervisor.apply(config(tmp_path, key="short"))

        assert [why.partition(" signing_key ")[0] for why in whys] == [
            "worker 1: issuer 'students':",
            "worker 2: issuer 'students':",
        ]
        assert supervisor.config is good
        assert repr(supervisor) == "<Supervisor 2 of 2 workers serving>"
        assert await status(port) == b"502"  # the upstream's absence, not the gateway's


async def test_the_reasons_of_workers_are_those_of_readiness(tmp_path: Path) -> None:
    async with supervisor_of(config(tmp_path)) as (supervisor, _):
        assert await supervisor.unready_because() == "starting or stopping"
        assert await supervisor.start() is None
        assert await supervisor.unready_because() == "worker 1: revocations are not loaded yet"
