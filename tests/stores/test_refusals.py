"""A server that is there, and refuses: what it says decides whether the store is away."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.stores import caller
from gateway.stores.redis import RedisStore
from tests.redis_servers import Cluster, RedisServer, redis_binary, redis_server, valkey_binary
from tests.stores.conftest import running
from tests.stores.recording import KEY, POLICY, RecordingSink, token, until

BINARIES = {"valkey": valkey_binary(), "redis": redis_binary()}

State = Callable[[RedisServer], contextlib.AbstractContextManager[None]]


@pytest.fixture(params=BINARIES)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RedisServer]:
    """One that only this test uses."""
    binary = BINARIES[request.param]
    if binary is None:
        pytest.skip("there is no redis-server")
    with redis_server(tmp_path, binary=binary) as started:
        yield started


async def opened(store: RedisStore) -> None:
    await store.open_session(KEY, POLICY, presented=token(), access_life=1)


async def refused(store: RedisStore) -> None:
    with pytest.raises(StoreUnavailable):
        await store.rotate(KEY, token(), POLICY)


async def stays_away(store: RedisStore) -> None:
    for _ in range(50):  # some probes come by
        assert not store.is_up
        await asyncio.sleep(0.01)


async def test_a_master_that_was_cut_off_is_away(server: RedisServer, sink: RecordingSink) -> None:
    async with running(server.url, sink) as store:
        await opened(store)
        server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        await refused(store)
        await stays_away(store)
        server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
        await until(lambda: store.is_up)
        await opened(store)


async def test_that_a_master_was_cut_off_is_noticed_without_calls(
    server: RedisServer, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(server.url, sink) as store:
        server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        await until(lambda: not store.is_up, patience=1.5)
        await stays_away(store)
    [line] = caplog.messages
    assert "NOREPLICAS" in line


async def test_each_master_of_a_cluster_is_asked_for_a_write(
    three_masters: Cluster, sink: RecordingSink
) -> None:
    async with running(three_masters.url, sink) as store:
        for server in three_masters.servers:
            server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
            await until(lambda: not store.is_up, patience=1.5)
            await stays_away(store)
            server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
            await until(lambda: store.is_up)


@pytest.mark.parametrize("kind", ["valkey", "system_redis", "three_masters"])
async def test_a_user_who_may_touch_nothing_but_our_keys(
    request: pytest.FixtureRequest, kind: str, sink: RecordingSink
) -> None:
    there: RedisServer | Cluster = request.getfixturevalue(kind)
    servers = there.servers if isinstance(there, Cluster) else [there]
    for server in servers:
        server.ask("ACL", "SETUSER", "gate", "on", ">s3cret", "~gw:*", "+@all")
    async with running(there.url.replace("://", "://gate:s3cret@"), sink) as store:
        await opened(store)
        await store.end_session(KEY, token(), POLICY)
        await until(lambda: sink.revocations)
    for server in servers:
        server.ask("ACL", "DELUSER", "gate")


@contextlib.contextmanager
def full(server: RedisServer) -> Iterator[None]:
    """A server without memory for anything new."""
    server.ask("CONFIG", "SET", "maxmemory", 1)
    yield
    server.ask("CONFIG", "SET", "maxmemory", 0)


@contextlib.contextmanager
def without_snapshots(server: RedisServer) -> Iterator[None]:
    """A server whose last snapshot failed, and which takes no writes for that."""
    server.ask("CONFIG", "SET", "save", "3600 1")
    obstacle = server.directory / "dump.rdb"
    obstacle.mkdir()
    server.ask("BGSAVE")
    server.wait_for(lambda client: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    obstacle.rmdir()
    server.ask("BGSAVE")
    server.wait_for(lambda client: client.info("persistence")["rdb_last_bgsave_status"] == "ok")


@pytest.mark.parametrize("state", [full, without_snapshots])
async def test_a_server_that_only_reads_is_no_outage(
    server: RedisServer,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    state: State,
) -> None:
    async with running(server.url, sink) as store:
        await opened(store)
        with state(server):
            seen = sink.confirmations
            for _ in range(30):
                await refused(store)
                await asyncio.sleep(0.05)
            assert store.is_up
            assert sink.confirmations >= seen + 2
            [line] = caplog.messages
            assert "the store takes no writes" in line
            monkeypatch.setattr(caller, "TOLD_EVERY", 0.0)
            await refused(store)
            assert len(caplog.messages) == 2
            # Who begins now reads the log.
            async with running(server.url, RecordingSink()):
                pass
        assert (await store.rotate(KEY, token(), POLICY)).generation == 1


async def test_what_was_ended_while_nothing_could_be_written_is_told_after_it(
    server: RedisServer, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(server.url, sink) as store, running(server.url, other := RecordingSink()):
        with full(server):
            for user in ("ada", "bob"):
                await store.end_user_eventually("main", user, POLICY)
            await asyncio.sleep(0.5)
            assert len(caplog.messages) == 1
        await until(lambda: len(other.revocations) == 2)
        assert [each.id for each in other.revocations] == ["ada", "bob"]


async def test_a_deed_that_is_refused_for_good_lets_others_pass(
    server: RedisServer, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    server.ask("HSET", "gw:{0}:u:main:bad", "not", "a number")
    async with running(server.url, sink) as store, running(server.url, other := RecordingSink()):
        began = time.monotonic()
        for user in ("bad", "ada", "bob"):
            await store.end_user_eventually("main", user, POLICY)
        await until(lambda: len(other.revocations) == 2)
        assert time.monotonic() - began < 0.3
        await asyncio.sleep(0.5)
        assert "waiting=1>" in repr(store)
        store._outbox._monotonic = lambda: time.monotonic() + 61
        await until(lambda: "is refused, and lost" in caplog.text)
        assert "waiting=0>" in repr(store)
    assert [each.id for each in other.revocations] == ["ada", "bob"]
    assert len(caplog.messages) == 2  # that a command is refused, and what came of it
    assert all("WRONGTYPE" in line for line in caplog.messages)


async def test_a_deed_that_is_not_refused_any_more_is_done(
    server: RedisServer, sink: RecordingSink
) -> None:
    server.ask("HSET", "gw:{0}:u:main:bad", "not", "a number")
    async with running(server.url, sink) as store, running(server.url, other := RecordingSink()):
        await store.end_user_eventually("main", "bad", POLICY)
        await asyncio.sleep(0.25)
        server.ask("DEL", "gw:{0}:u:main:bad")
        await until(lambda: other.revocations)
        assert store.is_up


async def test_what_waits_for_a_store_that_is_away_stays_in_order(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink) as store, running(server.url, other := RecordingSink()):
        server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        for user in ("ada", "bob", "cleo"):
            await store.end_user_eventually("main", user, POLICY)
        await until(lambda: not store.is_up)
        await stays_away(store)
        server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
        await until(lambda: len(other.revocations) == 3)
    assert [each.id for each in other.revocations] == ["ada", "bob", "cleo"]
