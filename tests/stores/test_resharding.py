"""A slot moves between two masters: the log is followed, and no call is lost or misjudged."""

import asyncio
import time
from dataclasses import replace
from zlib import crc32

import pytest

from gateway.errors import StoreUnavailable
from gateway.stores.redis import RedisStore
from gateway.stores.topology import BUCKETS
from tests.redis_servers import Cluster
from tests.stores.conftest import running
from tests.stores.recording import KEY, POLICY, RecordingSink, token, until
from tests.stores.resharding import Move, owner, resharding, slot_of

STALE = 2.0  # seconds, the least that `max_staleness` can sensibly be
TIMEOUT = 0.5
BUCKET = f"gw:{{{crc32(KEY.user.encode()) % BUCKETS}}}"


@pytest.fixture
def masters(three_masters: Cluster) -> Cluster:
    for server in three_masters.servers:
        server.ask("FLUSHALL")
    return three_masters


async def opened(store: RedisStore, name: str) -> None:
    await store.open_session(replace(KEY, id=name), POLICY, presented=token(), access_life=1)


async def ended(store: RedisStore, name: str) -> None:
    await opened(store, name)
    await store.end_session(replace(KEY, id=name), token(), POLICY)


def append(move: Move, name: str) -> None:
    """What another process writes into the log, where it is now."""
    client = move.target.client()
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("ASKING")  # type: ignore[no-untyped-call]
    pipe.xadd(f"{BUCKET}:rev", {"r": f"s\tmain\t9000\t0\t0\t{name}"})
    pipe.execute()
    client.close()


async def longest_gap(sink: RecordingSink, *, during: float) -> float:
    """The longest time, in seconds, between two confirmations of the view."""
    end, seen, since, longest = time.monotonic() + during, sink.confirmations, time.monotonic(), 0.0
    while time.monotonic() < end:
        await asyncio.sleep(0.01)
        if sink.confirmations != seen:
            seen, since = sink.confirmations, time.monotonic()
        longest = max(longest, time.monotonic() - since)
    return longest


async def test_the_log_is_followed_while_its_slot_moves(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink) as store:
            await ended(store, "before")
            await until(lambda: sink.revocations)
            move.begin()
            move.carry(f"{BUCKET}:rev")
            append(move, "during")
            assert await longest_gap(sink, during=STALE + 1) < STALE
            assert [each.id for each in sink.revocations] == ["before", "during"]
            append(move, "at last")
            move.end()
            await ended(store, "after")
            await until(lambda: len(sink.revocations) == 4)
            assert await longest_gap(sink, during=1) < STALE
            assert store.is_up
        assert [each.id for each in sink.revocations] == ["before", "during", "at last", "after"]
        assert [lag for _, lag in sink.calls if lag is None] == []
    assert not caplog.messages


async def test_a_process_that_begins_while_a_slot_moves_reads_its_log(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink) as store:
            await ended(store, "before")
            move.begin()
            move.carry(f"{BUCKET}:rev")
            async with running(masters.url, other := RecordingSink()):
                assert [each.id for each in other.revocations] == ["before"]
                move.end()
                await ended(store, "after")
                await until(lambda: len(other.revocations) == 2)
    assert not caplog.messages


async def test_a_move_that_is_called_off_loses_nothing(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink) as store:
            move.begin()
            assert await longest_gap(sink, during=1) < STALE
            for server in (move.source, move.target):
                server.ask("CLUSTER", "SETSLOT", move.slot, "STABLE")
            await ended(store, "after")
            await until(lambda: sink.revocations)
    assert not caplog.messages


async def test_a_slot_that_moves_as_a_whole_takes_its_log_along(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink) as store:
            await ended(store, "before")
            await until(lambda: sink.revocations)
            move.at_once()
            await until(lambda: owner(masters.servers, move.slot) is move.target)
            assert await longest_gap(sink, during=STALE) < STALE
            await ended(store, "after")
            await until(lambda: len(sink.revocations) == 2)
        assert [lag for _, lag in sink.calls if lag is None] == []
    assert not caplog.messages


async def test_calls_follow_a_slot(masters: Cluster, sink: RecordingSink) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink) as store:
            move.begin()
            # While it moves, what the source has not got is asked of the target (ASK).
            assert await store.known("main", KEY.user, "jti") is None
            move.end()
            await opened(store, KEY.id)
            assert (await store.rotate(KEY, token(), POLICY)).generation == 1
            await store.end_session(KEY, token(1), POLICY)
            await until(lambda: sink.revocations)
            assert store.is_up


async def test_a_session_whose_keys_are_apart_is_refused_without_an_outage(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink, timeout=TIMEOUT) as store:
            await ended(store, "other")
            await opened(store, KEY.id)
            move.begin()
            move.carry(f"{BUCKET}:rev")
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    await store.rotate(KEY, token(), POLICY)
                assert time.monotonic() - began < TIMEOUT + 0.05
            assert store.is_up
    assert not caplog.messages


async def test_a_session_whose_keys_come_together_in_time_is_served(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink, timeout=TIMEOUT) as store:
            await ended(store, "other")
            await opened(store, KEY.id)
            move.begin()
            move.carry(f"{BUCKET}:rev")
            rotating = asyncio.create_task(store.rotate(KEY, token(), POLICY))
            await asyncio.sleep(0.05)
            assert not rotating.done()
            move.end()
            assert (await rotating).generation == 1
    assert not caplog.messages


async def test_a_deed_whose_keys_are_apart_lets_others_pass(
    masters: Cluster, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    with resharding(masters.servers, slot_of(KEY.user)) as move:
        async with running(masters.url, sink, timeout=TIMEOUT) as store:
            await ended(store, KEY.id)
            async with running(masters.url, other := RecordingSink()):
                move.begin()
                move.carry(f"{BUCKET}:rev")
                for user in (KEY.user, "bob", "cleo"):
                    await store.end_user_eventually("main", user, POLICY)
                await until(lambda: len(other.revocations) == 3)
                assert {each.id for each in other.revocations} == {KEY.id, "bob", "cleo"}
                await asyncio.sleep(2)
                move.end()
                await until(lambda: len(other.revocations) == 4)
    assert not caplog.messages
