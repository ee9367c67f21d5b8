"""The servers that the tests of stores share; each test finds them empty."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.stores.base import Store
from gateway.stores.memory import MemoryStore
from gateway.stores.redis import RedisStore
from tests.redis_servers import (
    Cluster,
    RedisServer,
    SentinelSet,
    cluster,
    redis_binary,
    redis_server,
    sentinel_set,
)
from tests.stores.recording import MINUTE, RecordingSink, until

STORES = ["memory", "valkey", "redis", "sentinel", "cluster"]


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def system_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    binary = redis_binary()
    if binary is None:
        pytest.skip("there is no redis-server")
    with redis_server(tmp_path_factory.mktemp("redis"), binary=binary) as server:
        yield server


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    with sentinel_set(tmp_path_factory.mktemp("sentinels")) as servers:
        yield servers


@pytest.fixture(scope="session")
def three_masters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, sink: RecordingSink) -> AsyncIterator[Store]:
    """Each kind of store in turn, empty and up."""
    if request.param == "memory":
        memory = MemoryStore(wall=time.time)
        await memory.start(sink)
        yield memory
        await memory.stop()
        return
    async with running(emptied(request, request.param), sink) as redis_store:
        yield redis_store


def emptied(request: pytest.FixtureRequest, kind: str) -> str:
    """The URL of the servers of that kind, after they were emptied."""
    if kind == "sentinel":
        sentinel: SentinelSet = request.getfixturevalue("sentinels")
        sentinel.master.ask("FLUSHALL")
        return sentinel.url
    if kind == "cluster":
        masters: Cluster = request.getfixturevalue("three_masters")
        for server in masters.servers:
            server.ask("FLUSHALL")
        return masters.url
    single: RedisServer = request.getfixturevalue("valkey" if kind == "valkey" else "system_redis")
    single.ask("FLUSHALL")
    return single.url


@contextlib.asynccontextmanager
async def running(
    url: str, sink: RecordingSink, *, timeout: float = 0.5
) -> AsyncIterator[RedisStore]:
    """A store at this URL, from the moment that it has read the log."""
    store = RedisStore.from_url(url, retention=5 * MINUTE, timeout=timeout)
    await store.start(sink)
    try:
        await until(lambda: store.is_up and sink.confirmations)
        yield store
    finally:
        await store.stop()
