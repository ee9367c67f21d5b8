"""What every store does, in memory as on each layout of real servers."""

import asyncio
import time
from dataclasses import replace

import pytest

from gateway.stores.base import Kind, Policy, Presented, SessionKey, Store, Verdict
from tests.stores.recording import (
    DAY,
    FIXED,
    KEY,
    LENIENT,
    POLICY,
    SINGLE,
    STRICT,
    RecordingSink,
    token,
    until,
)


async def opened(
    store: Store,
    policy: Policy = POLICY,
    *,
    key: SessionKey = KEY,
    presented: Presented | None = None,
) -> None:
    await store.open_session(
        key, policy, presented=presented or token(), access_life=policy.access_life
    )


async def rotated(store: Store, times: int, policy: Policy = POLICY) -> None:
    for generation in range(times):
        assert (await store.rotate(KEY, token(generation), policy)).verdict is Verdict.ROTATED


async def test_a_session_begins_now_and_its_user_was_never_ended(store: Store) -> None:
    before = time.time() * 1000 - 50
    opening = await store.open_session(KEY, POLICY, presented=token(), access_life=1)
    assert before <= opening.at <= time.time() * 1000 + 50
    assert opening.not_before == 0


async def test_a_session_that_is_recorded_stays_as_it_is(store: Store) -> None:
    await opened(store)
    await rotated(store, 2)
    await opened(store)
    assert (await store.rotate(KEY, token(2), POLICY)).generation == 3


async def test_the_newest_token_is_rotated(store: Store) -> None:
    await opened(store)
    first = await store.rotate(KEY, token(0), POLICY)
    second = await store.rotate(KEY, token(1), POLICY)
    assert [first.verdict, first.generation] == [Verdict.ROTATED, 1]
    assert [second.verdict, second.generation] == [Verdict.ROTATED, 2]
    assert first.at <= second.at


async def test_the_parent_of_the_newest_gets_the_same_successor(store: Store) -> None:
    await opened(store)
    rotation = await store.rotate(KEY, token(0), POLICY)
    replay = await store.rotate(KEY, token(0), POLICY)
    assert replay == rotation._replace(verdict=Verdict.REPLAYED)


async def test_racers_get_one_successor(store: Store) -> None:
    await opened(store)
    rotations = await asyncio.gather(*(store.rotate(KEY, token(0), POLICY) for _ in range(12)))
    assert [each.verdict for each in rotations].count(Verdict.ROTATED) == 1
    assert len({(each.generation, each.at) for each in rotations}) == 1


@pytest.mark.parametrize(
    ("policy", "rotations", "generation"),
    [
        pytest.param(STRICT, 1, 0, id="parent after the grace"),
        pytest.param(POLICY, 2, 0, id="grandparent within it"),
    ],
)
async def test_a_spent_token_ends_the_session(
    store: Store, sink: RecordingSink, policy: Policy, rotations: int, generation: int
) -> None:
    await opened(store)
    await rotated(store, rotations)
    assert (await store.rotate(KEY, token(generation), policy)).verdict is Verdict.REUSED
    assert (await store.rotate(KEY, token(rotations), policy)).verdict is Verdict.REVOKED
    await until(lambda: sink.revocations)
    [revocation] = sink.revocations
    assert revocation[:3] == (Kind.SESSION, "main", KEY.id)
    assert abs(revocation.until - time.time() - policy.access_life / 1000) < 2


async def test_without_detection_a_spent_token_is_rotated_from_where_the_session_is(
    store: Store,
) -> None:
    await opened(store, LENIENT)
    await rotated(store, 3, LENIENT)
    rotation = await store.rotate(KEY, token(0), LENIENT)
    assert [rotation.verdict, rotation.generation] == [Verdict.ROTATED, 4]


async def test_a_token_ahead_of_its_record_is_rotated_forward(store: Store) -> None:
    await opened(store)
    assert (await store.rotate(KEY, token(7), POLICY)).generation == 8


async def test_a_managed_token_without_a_record_is_over(store: Store) -> None:
    assert (await store.rotate(KEY, token(), POLICY)).verdict is Verdict.REVOKED


async def test_an_unmanaged_token_is_adopted(store: Store) -> None:
    ends_at = int(time.time() * 1000) + DAY
    presented = token(is_managed=False, ends_at=ends_at)
    rotation = await store.rotate(KEY, presented, POLICY)
    assert [rotation.verdict, rotation.generation] == [Verdict.ROTATED, 1]
    assert rotation.ends_at == ends_at
    assert (await store.rotate(KEY, token(1), POLICY)).ends_at == ends_at


async def test_what_is_older_than_a_session_may_be_is_not_adopted(store: Store) -> None:
    over = token(is_managed=False, ends_at=int(time.time() * 1000) - 1)
    assert await store.inspect(KEY, over, POLICY) is Verdict.REVOKED
    assert (await store.rotate(KEY, over, POLICY)).verdict is Verdict.REVOKED
    assert (await store.claim(KEY, KEY.id, over, POLICY, lease=1)).verdict is Verdict.REVOKED


async def test_nothing_outlives_the_absolute_end(store: Store) -> None:
    await opened(store, presented=token(ends_at=int(time.time() * 1000) - 1))
    assert (await store.rotate(KEY, token(), POLICY)).verdict is Verdict.REVOKED


async def test_a_record_ends_with_its_life(store: Store) -> None:
    brief = replace(POLICY, record_life=40)
    await opened(store, brief, presented=token(life=40))
    assert await store.inspect(KEY, token(), brief) is Verdict.CURRENT
    async with asyncio.timeout(2):
        while await store.inspect(KEY, token(), brief) is not Verdict.REVOKED:
            await asyncio.sleep(0.01)


async def test_where_tokens_stay_only_ends_count(store: Store) -> None:
    await opened(store, FIXED)
    for _ in range(2):
        rotation = await store.rotate(KEY, token(), FIXED)
        assert [rotation.verdict, rotation.generation] == [Verdict.CURRENT, 0]
        assert abs(rotation.at / 1000 - time.time()) < 1
    assert await store.end_session(KEY, token(), FIXED) is Verdict.CURRENT
    assert (await store.rotate(KEY, token(), FIXED)).verdict is Verdict.REVOKED


async def test_a_token_that_stays_is_adopted_too(store: Store) -> None:
    presented = token(is_managed=False)
    assert (await store.rotate(KEY, presented, FIXED)).verdict is Verdict.CURRENT
    assert await store.inspect(KEY, token(), FIXED) is Verdict.CURRENT


async def test_of_a_single_token_the_log_tells_when_the_old_one_ends(
    store: Store, sink: RecordingSink
) -> None:
    await opened(store, SINGLE)
    rotation = await store.rotate(KEY, token(life=SINGLE.access_life), SINGLE)
    await until(lambda: sink.revocations)
    [revocation] = sink.revocations
    assert revocation[:3] == (Kind.GENERATION, "main", KEY.id)
    assert revocation.generation == 1
    assert revocation.since == (rotation.at + SINGLE.grace) / 1000
    assert revocation.until == (rotation.at + SINGLE.grace + SINGLE.access_life) / 1000


@pytest.mark.parametrize("deed", ["rotate", "end_session"])
async def test_a_single_token_that_lives_longer_stays_revoked_for_as_long(
    store: Store, sink: RecordingSink, deed: str
) -> None:
    presented = token(life=20 * SINGLE.access_life, is_managed=False)
    before = int(time.time() * 1000) / 1000
    await getattr(store, deed)(KEY, presented, SINGLE)
    await until(lambda: sink.revocations)
    assert sink.revocations[0].until >= before + presented.life / 1000


@pytest.mark.parametrize(
    ("rotations", "generation", "policy", "seen", "verdict"),
    [
        pytest.param(0, 0, POLICY, Verdict.CURRENT, Verdict.CURRENT, id="newest"),
        pytest.param(1, 0, POLICY, Verdict.REPLAYED, Verdict.CURRENT, id="parent within the grace"),
        pytest.param(1, 0, STRICT, Verdict.REUSED, Verdict.REUSED, id="parent after it"),
        pytest.param(2, 0, POLICY, Verdict.REUSED, Verdict.REUSED, id="grandparent"),
    ],
)
async def test_ending_a_session(
    store: Store,
    sink: RecordingSink,
    rotations: int,
    generation: int,
    policy: Policy,
    seen: Verdict,
    verdict: Verdict,
) -> None:
    await opened(store)
    await rotated(store, rotations)
    assert await store.inspect(KEY, token(generation), policy) is seen
    assert await store.inspect(KEY, token(rotations), policy) is Verdict.CURRENT
    assert await store.end_session(KEY, token(generation), policy) is verdict
    assert await store.end_session(KEY, token(rotations), policy) is Verdict.REVOKED
    assert await store.inspect(KEY, token(rotations), policy) is Verdict.REVOKED
    await until(lambda: sink.revocations)
    assert [each.id for each in sink.revocations] == [KEY.id]


@pytest.mark.parametrize(
    ("is_managed", "verdict"), [(False, Verdict.CURRENT), (True, Verdict.REVOKED)]
)
async def test_a_session_without_a_record_stays_over(
    store: Store, sink: RecordingSink, is_managed: bool, verdict: Verdict
) -> None:
    presented = token(is_managed=is_managed)
    assert await store.end_session(KEY, presented, POLICY) is verdict
    assert (await store.rotate(KEY, presented, POLICY)).verdict is Verdict.REVOKED
    await until(lambda: sink.revocations)


async def test_ending_a_user_ends_what_was_issued_so_far(store: Store, sink: RecordingSink) -> None:
    await opened(store)
    now = int(time.time())
    await store.end_user("main", "ada", POLICY)
    for issued_at in (None, now - 9):
        presented = token(issued_at=issued_at)
        assert (await store.rotate(KEY, presented, POLICY)).verdict is Verdict.REVOKED
    assert (await store.rotate(KEY, token(issued_at=now + 9), POLICY)).verdict is Verdict.ROTATED
    later = await store.open_session(
        replace(KEY, id="later"), POLICY, presented=token(), access_life=1
    )
    assert abs(later.not_before - now) <= 1
    await until(lambda: sink.revocations)
    [revocation] = sink.revocations
    assert revocation[:3] == (Kind.USER, "main", "ada")
    assert revocation.since == later.not_before


async def test_other_users_and_issuers_are_not_concerned(store: Store) -> None:
    others = [SessionKey("main", "bob", "1"), SessionKey("other", "ada", KEY.id)]
    for key in [KEY, *others]:
        await opened(store, key=key)
    await store.end_user("main", "ada", POLICY)
    await store.end_session(KEY, token(), POLICY)
    for key in others:
        assert await store.inspect(key, token(issued_at=1), POLICY) is Verdict.CURRENT


async def test_a_user_is_ended_eventually(store: Store, sink: RecordingSink) -> None:
    await opened(store)
    await store.end_user_eventually("main", "ada", POLICY)
    assert {each.id for each in sink.revocations} == {"ada"}
    async with asyncio.timeout(5):
        while await store.inspect(KEY, token(issued_at=1), POLICY) is not Verdict.REVOKED:
            await asyncio.sleep(0.01)


async def test_revocations_are_kept_for_the_longest_access_token(
    store: Store, sink: RecordingSink
) -> None:
    await store.open_session(KEY, POLICY, presented=token(), access_life=DAY)
    await store.end_session(KEY, token(), POLICY)
    await until(lambda: sink.revocations)
    assert abs(sink.revocations[0].until - time.time() - DAY / 1000) < 2


@pytest.mark.parametrize("name", ["a b", "with:colon", "{tag}", "Ünïcode", "x" * 255, "", "a\\b%"])
async def test_names_may_be_any_text(store: Store, sink: RecordingSink, name: str) -> None:
    key = SessionKey("main", name, f"id {name}")
    await opened(store, key=key)
    assert (await store.rotate(key, token(), POLICY)).generation == 1
    assert await store.end_session(key, token(1), POLICY) is Verdict.CURRENT
    await store.end_user("main", name, POLICY)
    await until(lambda: len(sink.revocations) == 2)
    assert {each.id for each in sink.revocations} == {name, f"id {name}"}


async def test_a_bucket_gives_its_burst_and_then_by_its_rate(store: Store) -> None:
    waits = [await store.take("ip", rate=0.5, burst=3) for _ in range(4)]
    assert waits[:3] == [0, 0, 0]
    assert 1.5 < waits[3] <= 2
    assert await store.take("other", rate=0.5, burst=1) == 0


async def test_a_bucket_fills_again(store: Store) -> None:
    assert await store.take("ip", rate=50, burst=1) == 0
    async with asyncio.timeout(2):
        while await store.take("ip", rate=50, burst=1):
            await asyncio.sleep(0.005)


async def test_failures_bar_a_name_for_longer_each_time(store: Store) -> None:
    bars = [await store.fail("ada", limit=3, window=60, longest=20) for _ in range(6)]
    assert bars == [0, 0, 6, 12, 20, 20]
    count, barred = await store.failures("ada")
    assert count == 6
    assert 19 < barred <= 20
    assert await store.failures("bob") == (0, 0)


async def test_failures_are_forgiven(store: Store) -> None:
    await store.fail("ada", limit=1, window=60, longest=20)
    await store.forgive("ada")
    assert await store.failures("ada") == (0, 0)


async def test_failures_are_forgotten_after_the_window(store: Store) -> None:
    await store.fail("ada", limit=9, window=0.03, longest=20)
    async with asyncio.timeout(2):
        while await store.failures("ada") != (0, 0):
            await asyncio.sleep(0.01)


async def test_the_end_of_a_session_reaches_tokens_of_a_life_that_was_since_shortened(
    store: Store, sink: RecordingSink
) -> None:
    long = replace(POLICY, access_life=DAY)
    await opened(store, long)
    await rotated(store, 1, long)
    await store.end_session(KEY, token(1), replace(POLICY, access_life=60_000))
    await until(lambda: sink.revocations)
    assert sink.revocations[0].until >= time.time() + DAY / 1000 - 5
