"""The log reaches every process, in parts at first and then at once."""

import time

from gateway.stores.base import Kind, Revocation
from gateway.stores.redis import RedisStore
from gateway.stores.tail import CHUNK, read_entry
from tests.redis_servers import RedisServer
from tests.stores.conftest import running
from tests.stores.recording import MINUTE, POLICY, RecordingSink, until


async def test_what_was_revoked_before_is_read_in_parts(
    valkey: RedisServer, sink: RecordingSink
) -> None:
    valkey.ask("FLUSHALL")
    count = 2 * CHUNK + 1
    valkey.ask(
        "EVAL",
        "for n = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'r', "
        "'s\\tmain\\t9000\\t0\\t0\\tid ' .. n) end",
        1,
        "gw:{0}:rev",
        count,
    )
    async with running(valkey.url, sink):
        assert [(len(batch), lag) for batch, lag in sink.calls] == [
            (CHUNK, None),
            (CHUNK, None),
            (1, None),
        ]
    assert sink.revocations[0] == Revocation(Kind.SESSION, "main", "id 1", 9.0)
    assert len(sink.revocations) == count


async def test_a_revocation_reaches_other_processes_soon(
    valkey: RedisServer, sink: RecordingSink
) -> None:
    valkey.ask("FLUSHALL")
    other = RecordingSink()
    async with running(valkey.url, sink) as store, running(valkey.url, other):
        began = time.perf_counter()
        await store.end_user("main", "ada", POLICY)
        await until(lambda: other.revocations)
        assert time.perf_counter() - began < 0.2
    [(_, lag)] = other.calls
    assert lag is not None
    assert 0 <= lag < 0.2


async def test_the_view_is_confirmed_though_nothing_happens(
    valkey: RedisServer, sink: RecordingSink
) -> None:
    async with running(valkey.url, sink):
        seen = sink.confirmations
        await until(lambda: sink.confirmations >= seen + 2, patience=2)


async def test_two_prefixes_are_two_stores(valkey: RedisServer, sink: RecordingSink) -> None:
    valkey.ask("FLUSHALL")
    async with running(valkey.url, sink) as store:
        other = RedisStore.from_url(valkey.url, key_prefix="other", retention=MINUTE)
        await other.start(theirs := RecordingSink())
        await until(lambda: other.is_up and theirs.confirmations)
        await store.end_user("main", "ada", POLICY)
        await until(lambda: sink.revocations)
        await other.stop()
    assert not theirs.revocations


async def test_old_entries_leave_the_log(valkey: RedisServer, sink: RecordingSink) -> None:
    valkey.ask("FLUSHALL")
    for number in range(1, 301):  # of 1970, and trimmed by whole blocks
        valkey.ask("XADD", "gw:{0}:rev", f"{number}-0", "r", "s\tmain\t1\t0\t0\told")
    async with running(valkey.url, sink) as store:
        await store.end_user("main", "ada", POLICY)
    length = valkey.ask("XLEN", "gw:{0}:rev")
    assert isinstance(length, int)
    assert length <= 101


def test_an_entry_of_a_later_version_is_passed_over() -> None:
    assert read_entry([b"r", b"z\tmain\t1\t0\t0\tid"]) is None
    assert read_entry([b"r", b"?"]) is None
