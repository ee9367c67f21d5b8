"""Gateways as processes of their own, as the workers; a real store."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from examples.processes import Processes
from tests.factories import SECRET
from tests.integration.conftest import (  # noqa: F401 - fixtures of this folder too
    children,
    run_echo,
    run_gateway,
    start_app,
    students,
)
from tests.integration.servers import RunningGateway, start_gateway
from tests.redis_servers import RedisServer, redis_server
from tests.servers import answering, scripted

Run = Callable[..., list[RunningGateway]]

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that only this test uses."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    with redis_server(directory) as server:
        yield server


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    """The address of an API that answers everything with 200."""
    async with scripted(answering(_ANSWER)) as api:
        yield f"http://127.0.0.1:{api.port}"


@pytest.fixture
def run_workers(upstream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`run_workers(url, …)`: workers on this store, one for each set of changes (see `config`)."""
    # What is measured is not traced.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    number = iter(range(1000))
    with Processes() as started:

        def start(config: dict[str, Any]) -> RunningGateway:
            directory = tmp_path / f"worker{next(number)}"
            directory.mkdir()
            return start_gateway(config, directory=directory, children=started)

        def run(store: str, *changes: dict[str, Any]) -> list[RunningGateway]:
            configs = [worker_config(upstream, store, change) for change in changes or ({}, {})]
            with ThreadPoolExecutor(len(configs)) as pool:
                return list(pool.map(start, configs))

        yield run


def worker_config(upstream: str, store: str, changes: dict[str, Any]) -> dict[str, Any]:
    """A worker's configuration; `changes` may have keys of `store`, of `issuer` and `routes`."""
    return {
        "server": {"graceful_shutdown": "1s"},
        "logging": {"access_log": False},
        "store": {"url": store, **changes.get("store", {})},
        "upstreams": {"api": {"servers": [upstream]}},
        "issuers": {
            "students": {
                "signing_key": SECRET,
                "upstream": "api",
                "access_token_lifetime": "1h",
                **changes.get("issuer", {}),
            }
        },
        "routes": [
            *changes.get("routes", ()),
            {"path": "/open/", "auth": "none", "upstream": "api"},
            {"path": "/", "issuers": ["students"], "upstream": "api"},
        ],
    }
