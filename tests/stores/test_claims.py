"""Refresh tokens that only the upstream can spend: one worker asks it, all others wait."""

import asyncio
import time
from dataclasses import replace

import pytest

from gateway.stores.base import Claim, Policy, SessionKey, Store, Verdict
from tests.stores.recording import DAY, MINUTE, POLICY, STRICT, RecordingSink, token, until

FIRST = SessionKey("main", "ada", "jti-0")
PRESENTED = token(is_managed=False)


async def claimed(
    store: Store, token_id: str, policy: Policy = POLICY, *, lease: int = MINUTE
) -> Claim:
    key = replace(FIRST, id=token_id)
    return await store.claim(key, token_id, PRESENTED, policy, lease=lease)


async def spent(
    store: Store, token_id: str, successor: str | None, *, access: tuple[str, int] | None = None
) -> Claim:
    claim = await claimed(store, token_id)
    assert claim.verdict is Verdict.ROTATED
    await store.complete(
        claim,
        POLICY,
        answer=b"\x00sealed",
        successor=successor,
        access=access,
        life=DAY,
        kept_for=MINUTE,
    )
    return claim


async def test_one_of_many_gets_the_claim(store: Store) -> None:
    claims = await asyncio.gather(*(claimed(store, "jti-0") for _ in range(9)))
    verdicts = [claim.verdict for claim in claims]
    assert [verdicts.count(Verdict.ROTATED), verdicts.count(Verdict.CURRENT)] == [1, 8]


async def test_the_others_get_the_answer_that_came_of_it(store: Store) -> None:
    await spent(store, "jti-0", "jti-1")
    claim = await claimed(store, "jti-0")
    assert [claim.verdict, claim.answer] == [Verdict.REPLAYED, b"\x00sealed"]


async def test_an_answer_without_a_successor_is_kept_too(store: Store) -> None:
    await spent(store, "jti-0", None)
    assert (await claimed(store, "jti-0")).answer == b"\x00sealed"
    assert await store.known("main", "ada", "jti-0") is None


async def test_the_successor_belongs_to_the_session(store: Store) -> None:
    await spent(store, "jti-0", "jti-1")
    assert await store.known("main", "ada", "jti-1") == ("jti-0", 1)
    second = await spent(store, "jti-1", "jti-2")
    assert second.key == FIRST
    assert await store.known("main", "ada", "jti-2") == ("jti-0", 2)


async def test_a_claim_that_is_given_back_can_be_taken(store: Store) -> None:
    first = await claimed(store, "jti-0")
    await store.release(first)
    second = await claimed(store, "jti-0")
    assert second.verdict is Verdict.ROTATED
    await store.release(first)  # no longer its own
    assert (await claimed(store, "jti-0")).verdict is Verdict.CURRENT


async def test_a_lease_ends(store: Store) -> None:
    await claimed(store, "jti-0", lease=20)
    async with asyncio.timeout(2):
        while (await claimed(store, "jti-0")).verdict is not Verdict.ROTATED:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("again", ["jti-0", "jti-1"])
async def test_a_token_spent_long_before_ends_the_session(
    store: Store, sink: RecordingSink, again: str
) -> None:
    for generation in range(3):
        await spent(
            store,
            f"jti-{generation}",
            f"jti-{generation + 1}",
            access=(f"access {generation}", int(time.time()) + 900),
        )
    key = replace(FIRST, id="jti-0")
    known = await store.known("main", "ada", again)
    presented = token(known[1] if known else 0, is_managed=known is not None)
    assert (await store.rotate(key, presented, STRICT)).verdict is Verdict.REUSED
    assert (await claimed(store, "jti-3")).verdict is Verdict.REVOKED
    ended = {"jti-0", "access 0", "access 1", "access 2"}
    await until(lambda: {each.id for each in sink.revocations} == ended)
    assert all(each.until > time.time() + 290 for each in sink.revocations)


async def test_reuse_is_seen_by_a_claim(store: Store) -> None:
    brief = replace(POLICY, grace=0)
    for generation in range(2):
        claim = await claimed(store, f"jti-{generation}", brief)
        successor = f"jti-{generation + 1}"
        await store.complete(
            claim, brief, answer=b"", successor=successor, access=None, life=DAY, kept_for=1
        )
    async with asyncio.timeout(2):
        while (await claimed(store, "jti-0", brief)).verdict is Verdict.REPLAYED:
            await asyncio.sleep(0.001)
    assert (await claimed(store, "jti-2", brief)).verdict is Verdict.REVOKED


async def test_an_access_token_of_the_login_ends_with_its_session(
    store: Store, sink: RecordingSink
) -> None:
    expiry = int(time.time()) + 900
    await store.open_session(
        FIRST, POLICY, presented=PRESENTED, access_life=900_000, access=("access", expiry)
    )
    await store.end_session(FIRST, PRESENTED, POLICY)
    await until(lambda: len(sink.revocations) == 2)
    assert {each.id for each in sink.revocations} == {"jti-0", "access"}


async def test_only_the_living_and_the_latest_access_tokens_are_remembered(
    store: Store, sink: RecordingSink
) -> None:
    now = int(time.time())
    await spent(store, "jti-0", "jti-1", access=("dead", now - 1))
    for generation in range(1, 11):
        await spent(
            store, f"jti-{generation}", f"jti-{generation + 1}", access=(f"a{generation}", now + 99)
        )
    await store.end_session(FIRST, token(10), POLICY)
    await until(lambda: len(sink.revocations) == 9)
    assert {each.id for each in sink.revocations} == {"jti-0", *(f"a{n}" for n in range(3, 11))}


async def test_what_comes_of_a_claim_is_dead_where_the_session_was_ended_meanwhile(
    store: Store, sink: RecordingSink
) -> None:
    claim = await claimed(store, "jti-0")
    assert await store.end_session(FIRST, PRESENTED, POLICY) is Verdict.CURRENT
    access = ("access", int(time.time()) + 60)
    await store.complete(
        claim, POLICY, answer=b"", successor="jti-1", access=access, life=DAY, kept_for=1
    )
    assert (await claimed(store, "jti-1")).verdict is Verdict.REVOKED
    await until(lambda: {each.id for each in sink.revocations} == {"jti-0", "access"})


async def test_however_long_an_answer_is_kept_reuse_is_seen(store: Store) -> None:
    await spent(store, "jti-0", "jti-1")
    await spent(store, "jti-1", "jti-2")
    assert (await claimed(store, "jti-1")).verdict is Verdict.REPLAYED
    assert (await claimed(store, "jti-0")).verdict is Verdict.REUSED
    assert (await claimed(store, "jti-2")).verdict is Verdict.REVOKED


async def test_an_answer_is_kept_no_longer_than_was_said_last(store: Store) -> None:
    claim = await spent(store, "jti-0", "jti-1")
    await store.keep_no_longer(claim, life=2 * MINUTE)  # that is longer: it stays
    await store.keep_no_longer(claim, life=30)
    async with asyncio.timeout(2):
        while (await claimed(store, "jti-0", STRICT)).verdict is Verdict.REPLAYED:
            await asyncio.sleep(0.005)
