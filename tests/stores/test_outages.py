"""The store goes away and comes back: nobody waits, and nothing that was ended comes back."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.stores.base import Verdict
from gateway.stores.caller import MOST_UNANSWERED
from gateway.stores.outbox import KEPT
from gateway.stores.redis import RedisStore
from gateway.stores.tail import read_entry
from tests.redis_servers import RedisServer, SentinelSet, redis_server, sentinel_set
from tests.stores.conftest import running
from tests.stores.recording import KEY, MINUTE, POLICY, STRICT, RecordingSink, token, until

TIMEOUT = 0.25


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """One that only this test uses."""
    with redis_server(tmp_path) as started:
        yield started


async def refused(store: RedisStore) -> float:
    """How long, in seconds, it takes to be refused."""
    began = time.perf_counter()
    with pytest.raises(StoreUnavailable):
        await store.rotate(KEY, token(), POLICY)
    return time.perf_counter() - began


async def opened(store: RedisStore) -> None:
    await store.open_session(KEY, POLICY, presented=token(), access_life=1)


async def test_before_it_was_found_it_refuses_at_once(tmp_path: Path) -> None:
    store = RedisStore.from_url(f"unix://{tmp_path}/none.sock", retention=1)
    await store.start(RecordingSink())
    assert await refused(store) < 0.005
    await store.stop()


async def test_a_dead_server_costs_nothing(server: RedisServer, sink: RecordingSink) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        server.kill()
        await until(lambda: not store.is_up)
        assert sorted([await refused(store) for _ in range(50)])[45] < 0.005
        server.start()
        await until(lambda: store.is_up)
        await opened(store)


async def test_a_frozen_server_costs_one_timeout(server: RedisServer, sink: RecordingSink) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        server.freeze()
        assert await refused(store) < TIMEOUT + 0.05
        assert sorted([await refused(store) for _ in range(50)])[45] < 0.005
        server.thaw()
        await until(lambda: store.is_up)
        assert (await store.rotate(KEY, token(), POLICY)).verdict in (
            Verdict.ROTATED,
            Verdict.REPLAYED,  # it had read the call before it froze
        )


async def test_calls_under_way_end_when_the_first_one_fails(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        server.freeze()
        first = asyncio.create_task(refused(store))
        await asyncio.sleep(TIMEOUT * 0.6)
        others = [asyncio.create_task(refused(store)) for _ in range(20)]
        await first
        assert max(await asyncio.gather(*others)) < TIMEOUT * 0.8
        server.thaw()


async def test_a_frozen_server_is_noticed_without_calls(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        server.freeze()
        await until(lambda: not store.is_up, patience=1.5)
        server.thaw()


async def test_a_replica_is_not_up(server: RedisServer, sink: RecordingSink) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        server.ask("REPLICAOF", "127.0.0.1", "1")
        await refused(store)
        assert not store.is_up
        for _ in range(30):  # some probes come by
            assert not store.is_up
            await asyncio.sleep(0.01)
        server.ask("REPLICAOF", "NO", "ONE")
        await until(lambda: store.is_up)


async def test_scripts_are_loaded_again(server: RedisServer, sink: RecordingSink) -> None:
    async with running(server.url, sink) as store:
        await opened(store)
        server.ask("SCRIPT", "FLUSH")
        assert (await store.rotate(KEY, token(), POLICY)).generation == 1
        assert store.is_up


async def test_a_refused_command_is_no_outage(
    server: RedisServer, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(server.url, sink) as store:
        server.ask("SET", "gw:f:ada", "not a hash")
        with pytest.raises(StoreUnavailable):
            await store.failures("ada")
        assert store.is_up
    assert "WRONGTYPE" in caplog.text


async def test_connections_that_the_server_has_closed_are_not_used(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink) as store:
        await opened(store)
        server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        async with asyncio.timeout(2):
            while (await rotation_or_none(store)) is None:
                await asyncio.sleep(0.005)


async def test_a_closed_link_is_replaced_without_an_outage(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink) as store:
        await opened(store)
        topology = store._breaker.topology
        assert topology is not None
        [node] = topology.nodes
        link = node._links["calls"]
        [own] = await node.say(("CLIENT", "ID"))
        server.ask("CLIENT", "KILL", "ID", own)
        await until(lambda: link.is_ended)
        await store.rotate(KEY, token(), POLICY)
        assert node._links["calls"] is not link


async def test_too_many_calls_under_way_are_refused(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=5) as store:
        await opened(store)
        server.freeze()
        calls = [asyncio.create_task(rotation_or_none(store)) for _ in range(MOST_UNANSWERED)]
        await asyncio.sleep(0)
        assert await refused(store) < 0.005
        assert store.is_up
        server.thaw()
        assert None not in await asyncio.gather(*calls)


async def test_who_is_under_way_at_the_stop_is_refused(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=5) as store:
        await opened(store)
        server.freeze()
        calls = [asyncio.create_task(refused(store)) for _ in range(3)]
        await asyncio.sleep(0)
        await store.stop()
        assert all(call.done() for call in calls)
        assert max(call.result() for call in calls) < 1
        server.thaw()


def ids_in(server: RedisServer) -> set[str]:
    """Whom the log concerns; an entry may be told twice."""
    entries = server.ask("XRANGE", "gw:{0}:rev", "-", "+")
    assert isinstance(entries, list)
    revocations = [read_entry([*sum(fields.items(), ())]) for _, fields in entries]
    return {each.id for each in revocations if each}


async def rotation_or_none(store: RedisStore) -> Verdict | None:
    try:
        return (await store.rotate(KEY, token(), POLICY)).verdict
    except StoreUnavailable:
        return None


async def test_a_user_ended_during_an_outage_is_ended_after_it(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        server.kill()
        await until(lambda: not store.is_up)
        for user in ("ada", "bob"):
            await store.end_user_eventually("main", user, POLICY)
        assert [each.id for each in sink.revocations] == ["ada", "bob"]
        server.start()
        await until(lambda: len(ids_in(server)) == 2)
        assert server.ask("EXISTS", "gw:{0}:u:main:ada", "gw:{0}:u:main:bob") == 2


async def test_what_waits_for_the_store_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisStore.from_url(f"unix://{tmp_path}/none.sock", retention=1)
    await store.start(RecordingSink())
    for number in range(KEPT + 1):
        await store.end_user_eventually("main", str(number), POLICY)
    assert f"waiting={KEPT}>" in repr(store)
    await store.stop()
    assert "one is lost" in caplog.text
    assert f"{KEPT} revocations could not be written" in caplog.text


async def test_a_server_that_has_forgotten_is_told_again(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await store.end_user("main", "bob", POLICY)
        await opened(store)
        await store.end_session(KEY, token(), POLICY)
        await until(lambda: len(sink.revocations) == 2)
        server.kill()
        server.start()
        await until(lambda: len(ids_in(server)) == 2)
        assert await store.inspect(KEY, token(), POLICY) is Verdict.REVOKED
        assert await store.inspect(KEY, token(issued_at=1), POLICY) is Verdict.REVOKED


@pytest.mark.parametrize("name", ["check", "info"])
async def test_an_answer_that_nobody_understands_is_no_end(
    server: RedisServer,
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        with monkeypatch.context() as broken:
            broken.setattr(f"gateway.stores.breaker.{name}", misunderstood)
            if name == "info":  # read when the server is found
                server.kill()
                server.start()
            await until(lambda: not store.is_up)
            await until(lambda: "the store can't be watched" in caplog.text)
        await until(lambda: store.is_up)
        await opened(store)
    assert caplog.text.count("the store can't be watched") == 1  # no busy loop


def misunderstood(*_args: object, **_options: object) -> dict[str, str]:
    raise ValueError("invalid literal for int()")


async def test_eviction_is_warned_of(
    tmp_path: Path, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path, options=("--maxmemory-policy", "allkeys-lru")) as server:
        async with running(server.url, sink):
            pass
    assert "eviction would bring revoked tokens back to life" in caplog.text


async def test_a_password_opens_and_is_never_told(
    tmp_path: Path, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with redis_server(tmp_path) as server:
        server.ask("ACL", "SETUSER", "gate", "on", ">s3cret", "~*", "+@all")
        url = server.url.replace("://", "://gate:s3cret@")
        async with running(url, sink) as store:
            await opened(store)
            assert "s3cret" not in repr(store)
        wrong = RedisStore.from_url(url.replace("s3cret", "wr0ng"), retention=MINUTE)
        await wrong.start(RecordingSink())
        await until(lambda: "refuses our credentials" in caplog.text)
        await wrong.stop()
    assert "s3cret" not in caplog.text
    assert "wr0ng" not in caplog.text


async def test_another_replication_history_is_read_anew(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await store.end_user("main", "bob", POLICY)
        await until(lambda: sink.revocations)
        server.ask("REPLICAOF", "127.0.0.1", "1")
        await until(lambda: not store.is_up)
        server.ask("REPLICAOF", "NO", "ONE")
        await until(lambda: [lag for _, lag in sink.calls].count(None) == 1)
        await until(lambda: server.ask("XLEN", "gw:{0}:rev") == 2)
        assert ids_in(server) == {"bob"}


async def test_a_failover_is_followed(tmp_path: Path, sink: RecordingSink) -> None:
    with sentinel_set(tmp_path) as servers:
        async with running(servers.url, sink, timeout=TIMEOUT) as store:
            await opened(store)
            await store.end_user("main", "bob", POLICY)
            dead = servers.master
            dead.kill()
            began = time.monotonic()
            async with asyncio.timeout(10):
                while (await rotation_or_none(store)) is None:
                    await asyncio.sleep(0.01)
            assert time.monotonic() - began < 3
            # What was ended is ended on the new master too, and told once more.
            assert await store.rotate(KEY, token(1), POLICY)
            [alive] = [server for server in servers.servers if server is not dead]
            assert alive.ask("EXISTS", "gw:{0}:u:main:bob") == 1
            await until(lambda: any(lag is None for _, lag in sink.calls))


def waits_of(server: RedisServer) -> int:
    stats = server.ask("INFO", "commandstats")
    assert isinstance(stats, dict)
    return int(stats.get("cmdstat_wait", {"calls": 0})["calls"])


async def test_an_end_waits_for_a_replica(sentinels: SentinelSet, sink: RecordingSink) -> None:
    master = sentinels.master
    master.ask("FLUSHALL")
    async with running(sentinels.url, sink) as store:
        before = waits_of(master)
        await opened(store)
        await store.rotate(KEY, token(), POLICY)
        assert waits_of(master) == before
        await store.end_user("main", "bob", POLICY)
        await store.rotate(KEY, token(0), STRICT)
        assert waits_of(master) == before + 2


async def test_without_a_replica_nothing_waits(valkey: RedisServer, sink: RecordingSink) -> None:
    async with running(valkey.url, sink) as store:
        await store.end_user("main", "bob", POLICY)
    assert waits_of(valkey) == 0
