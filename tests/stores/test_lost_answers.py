"""A store that does what it was told, and cannot say so, or does it too late: nothing is spent."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.stores.base import Kind, Policy, Presented, SessionKey, Verdict
from gateway.stores.deeds import Deeds
from gateway.stores.redis import RedisStore
from gateway.stores.scripts import ROTATE, UNDO
from tests.faults.relay import Relay, relay_to
from tests.redis_servers import RedisServer, redis_server
from tests.stores.conftest import running
from tests.stores.recording import KEY, POLICY, SINGLE, STRICT, RecordingSink, token, until

TIMEOUT = 0.1
OVER = replace(SINGLE, grace=-1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with redis_server(tmp_path) as started:
        yield started


@pytest.fixture
async def relay(server: RedisServer) -> AsyncIterator[Relay]:
    async with relay_to(server.port) as made:
        yield made


async def is_back(store: RedisStore) -> None:
    """Up again, and whatever waited for that is done."""
    await until(lambda: store.is_up and not (len(store._outbox) or len(store._undoing)))


async def lost(store: RedisStore, relay: Relay, presented: Presented, policy: Policy) -> None:
    """A rotation that is done, and whose answer does not come back."""
    with relay.losing_answers(), pytest.raises(StoreUnavailable):
        await store.rotate(KEY, presented, policy)


def generation_in(server: RedisServer) -> object:
    names = Deeds("gw", buckets=1, retention=1)
    return server.ask("HGET", names.session_key(KEY), "g")


async def opened(store: RedisStore, policy: Policy = STRICT) -> None:
    await store.open_session(KEY, policy, presented=token(), access_life=1)


async def test_a_frozen_server_spends_no_token_when_it_thaws(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        for _ in range(3):
            server.freeze()
            with pytest.raises(StoreUnavailable):
                await store.rotate(KEY, token(), STRICT)
            await asyncio.sleep(3 * TIMEOUT)
            server.thaw()
            await is_back(store)
        assert generation_in(server) == b"0"
        assert (await store.rotate(KEY, token(), STRICT)).verdict is Verdict.ROTATED


@pytest.mark.parametrize("policy", [STRICT, OVER], ids=["pair", "single"])
@pytest.mark.parametrize("is_managed", [True, False], ids=["managed", "adopted"])
async def test_a_rotation_of_which_nobody_has_heard_is_taken_back(
    server: RedisServer, relay: Relay, sink: RecordingSink, policy: Policy, is_managed: bool
) -> None:
    async with running(relay.url, sink, timeout=TIMEOUT) as store:
        if is_managed:
            await opened(store)
        with relay.losing_answers():
            with pytest.raises(StoreUnavailable):
                await store.rotate(KEY, token(is_managed=is_managed), policy)
            assert generation_in(server) == b"1"
        await is_back(store)
        assert generation_in(server) == b"0"
        rotation = await store.rotate(KEY, token(is_managed=is_managed), policy)
        assert [rotation.verdict, rotation.generation] == [Verdict.ROTATED, 1]


async def test_another_ones_rotation_is_not_taken_back(
    server: RedisServer, relay: Relay, sink: RecordingSink
) -> None:
    """Who comes with a spent token during an outage has not made it good."""
    async with running(server.url, RecordingSink(), timeout=TIMEOUT) as other:
        await opened(other)
        assert (await other.rotate(KEY, token(), STRICT)).verdict is Verdict.ROTATED
        async with running(relay.url, sink, timeout=TIMEOUT) as store:
            await lost(store, relay, token(), POLICY)  # a replay
            await is_back(store)
            assert generation_in(server) == b"1"
            assert (await store.rotate(KEY, token(), STRICT)).verdict is Verdict.REUSED


async def test_who_was_replayed_meanwhile_goes_on(
    server: RedisServer, relay: Relay, sink: RecordingSink
) -> None:
    async with running(server.url, RecordingSink(), timeout=TIMEOUT) as other:
        await opened(other)
        async with running(relay.url, sink, timeout=TIMEOUT) as store:
            await lost(store, relay, token(), POLICY)
            assert (await other.rotate(KEY, token(), POLICY)).generation == 1
            await is_back(store)
            assert generation_in(server) == b"1"
        assert (await other.rotate(KEY, token(1), POLICY)).verdict is Verdict.ROTATED


async def test_a_session_that_was_ended_meanwhile_stays_so(
    server: RedisServer, relay: Relay, sink: RecordingSink
) -> None:
    async with running(server.url, RecordingSink(), timeout=TIMEOUT) as other:
        await opened(other)
        async with running(relay.url, sink, timeout=TIMEOUT) as store:
            await lost(store, relay, token(), POLICY)
            await other.end_session(KEY, token(1), POLICY)
            await is_back(store)
        assert (await other.rotate(KEY, token(), POLICY)).verdict is Verdict.REVOKED


async def test_a_single_token_that_was_not_spent_is_good_for_the_api_again(
    relay: Relay, sink: RecordingSink
) -> None:
    async with running(relay.url, sink, timeout=TIMEOUT) as store:
        await opened(store, OVER)
        await lost(store, relay, token(), OVER)
        await is_back(store)
        await until(lambda: len(sink.revocations) == 2)
        assert [each.kind for each in sink.revocations] == [Kind.GENERATION, Kind.UNDONE]
        assert [each.generation for each in sink.revocations] == [1, 0]


async def test_a_claim_of_which_nobody_has_heard_is_given_back(
    relay: Relay, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = SessionKey("main", "ada", "jti-0")
    presented: Presented = token(is_managed=False)

    async def unknown(*_: str) -> None:
        return None

    async def claimed(store: RedisStore) -> Verdict:
        claim = await store.claim(first, "jti-0", presented, POLICY, lease=60_000)
        return claim.verdict

    async with running(relay.url, sink, timeout=TIMEOUT) as store:
        with monkeypatch.context() as patched:
            patched.setattr(store, "known", unknown)  # that was answered before
            with relay.losing_answers(), pytest.raises(StoreUnavailable):
                await claimed(store)
        await is_back(store)
        assert await claimed(store) is Verdict.ROTATED


async def test_a_clock_that_was_set_forward_refuses_nobody(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        [node] = store._caller._topology().nodes
        assert node._ahead is not None
        node._ahead -= 3600
        assert (await store.rotate(KEY, token(), POLICY)).verdict is Verdict.ROTATED
        assert abs(node.clock() - time.time()) < 1


async def test_no_retry_is_judged_before_what_is_to_be_undone(
    relay: Relay, sink: RecordingSink
) -> None:
    keys = [replace(KEY, id=f"s{number}") for number in range(300)]
    async with running(relay.url, sink, timeout=5 * TIMEOUT) as store:  # 300 at once
        for key in keys:
            await store.open_session(key, STRICT, presented=token(), access_life=1)

        async def rotated(key: SessionKey) -> Verdict | None:
            try:
                return (await store.rotate(key, token(), STRICT)).verdict
            except StoreUnavailable:
                return None

        with relay.losing_answers():
            assert set(await asyncio.gather(*map(rotated, keys))) == {None}
        await until(lambda: store.is_up)
        verdicts = await asyncio.gather(*map(rotated, keys))
        assert set(verdicts) <= {Verdict.ROTATED, None}
        assert verdicts.count(Verdict.ROTATED) > 250


async def test_a_call_that_may_still_be_on_its_way_is_waited_for(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        deadline = int((time.time() + 0.2) * 1000)
        undo = store._deeds.of(UNDO, KEY, token(), STRICT, 77, deadline)
        store._undoing.put(undo.keys[3], undo)
        await asyncio.sleep(0.05)
        assert len(store._undoing) == 1
        late = store._deeds.of(ROTATE, KEY, token(), STRICT, store._now(), 77, deadline)
        assert (await store._caller.run(late))[0] == b"rotated"
        assert (await store.rotate(KEY, token(), STRICT)).verdict is Verdict.ROTATED
        assert len(store._undoing) == 0


async def test_the_token_before_keeps_its_grace(
    relay: Relay, server: RedisServer, sink: RecordingSink
) -> None:
    async with running(relay.url, sink, timeout=TIMEOUT) as store:
        await opened(store)
        first = await store.rotate(KEY, token(0), POLICY)
        await lost(store, relay, token(1), POLICY)
        await is_back(store)
        assert await store.rotate(KEY, token(0), POLICY) == first._replace(verdict=Verdict.REPLAYED)


async def test_an_end_that_was_lost_reaches_nobody_who_comes_after_it(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=0.5) as store:
        server.freeze()
        before = time.time()
        await store.end_user_eventually("main", "ada", POLICY)
        server.thaw()
        assert sink.revocations[0].since <= before


async def test_an_end_that_is_told_again_leaves_the_login_behind_it_to_the_next(
    server: RedisServer, sink: RecordingSink
) -> None:
    async with running(server.url, sink, timeout=TIMEOUT) as store:
        await store.end_user("main", "ada", POLICY)
        opening = await store.open_session(KEY, POLICY, presented=token(), access_life=1)
        store._outbox.repeat()
        await is_back(store)
        login = token(issued_at=max(opening.at // 1000, opening.not_before + 1))
        assert await store.inspect(KEY, login, POLICY) is Verdict.CURRENT
        await store.end_user("main", "ada", POLICY)
        assert await store.inspect(KEY, login, POLICY) is Verdict.REVOKED
