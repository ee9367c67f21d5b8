"""What every store tells of a user's sessions, and how one is ended by its id alone."""

import time
from itertools import count
from zlib import crc32

import pytest

from gateway.stores.base import Kind, SessionKey, Store, Verdict
from gateway.stores.memory import MemoryStore
from tests.factories import FrozenClock
from tests.stores.recording import KEY, POLICY, SINGLE, RecordingSink, token, until

OTHER = SessionKey("main", "ada", "77aa")


async def opened(store: Store, *keys: SessionKey) -> None:
    for key in keys:
        await store.open_session(key, POLICY, presented=token(), access_life=POLICY.access_life)


async def ids(store: Store, user: str = "ada", issuer: str = "main") -> set[str]:
    found = await store.sessions(issuer, user, patience=5)
    assert found.is_complete
    return {one.id for one in found.sessions}


async def test_a_users_sessions_are_told_and_nobody_elses(store: Store) -> None:
    others = (SessionKey("main", "ad", "1"), SessionKey("main", "ada ", "2"))
    await opened(store, KEY, OTHER, *others, SessionKey("main2", "ada", "3"))
    await opened(store, SessionKey("mai", "ada", "4"))
    assert await ids(store) == {KEY.id, OTHER.id}
    assert await ids(store, "nobody") == set()


async def test_a_user_whose_keys_begin_alike_is_another(store: Store) -> None:
    """In Redis, keys of the two have one mark and one bucket."""
    place = crc32(b"ada")
    like = next(
        str(number)
        for number in count()
        if ((other := crc32(b"%d" % number)) >> 16, other % 16) == (place >> 16, place % 16)
    )
    await opened(store, KEY, SessionKey("main", like, "5"))
    assert await ids(store) == {KEY.id}
    assert await ids(store, like) == {"5"}


async def test_names_are_no_patterns(store: Store) -> None:
    await opened(store, SessionKey("main", "*", "a:b*?[c]"), KEY)
    assert await ids(store, "*") == {"a:b*?[c]"}


async def test_a_session_tells_since_when_it_is_and_its_last_refresh(store: Store) -> None:
    before = time.time() - 1.1  # a store may keep whole seconds
    await opened(store, KEY)
    ((fresh,), _) = await store.sessions("main", "ada", patience=5)
    assert before <= fresh.began <= time.time() + 0.1
    assert fresh.refreshed is None
    assert fresh.kept_until == pytest.approx(time.time() + POLICY.record_life / 1000, abs=5)
    await store.rotate(KEY, token(0), POLICY)
    ((refreshed,), _) = await store.sessions("main", "ada", patience=5)
    assert refreshed.began == fresh.began
    assert refreshed.refreshed == pytest.approx(time.time(), abs=2)


async def test_what_is_over_is_not_told(store: Store) -> None:
    await opened(store, KEY, OTHER)
    await store.open_session(
        SessionKey("main", "ada", "short"),
        POLICY,
        presented=token(ends_at=int(time.time() * 1000) - 1),
        access_life=1,
    )
    await store.end_session(KEY, token(), POLICY)
    assert await ids(store) == {OTHER.id}


async def test_after_the_end_of_all_there_are_none_until_the_next_login(store: Store) -> None:
    await opened(store, KEY, OTHER)
    await store.end_user("main", "ada", POLICY)
    assert await ids(store) == set()
    await opened(store, SessionKey("main", "ada", "next"))
    assert "next" in await ids(store)


async def test_a_session_is_ended_by_its_id(store: Store, sink: RecordingSink) -> None:
    await opened(store, KEY, OTHER)
    await store.rotate(KEY, token(0), POLICY)
    assert await store.revoke_session(KEY, POLICY)
    assert (await store.rotate(KEY, token(1), POLICY)).verdict is Verdict.REVOKED
    assert (await store.rotate(OTHER, token(0), POLICY)).verdict is Verdict.ROTATED
    await until(lambda: sink.revocations)
    assert [(one.kind, one.id) for one in sink.revocations] == [(Kind.SESSION, KEY.id)]
    assert sink.revocations[0].until > time.time() + POLICY.access_life / 1000 - 5


@pytest.mark.parametrize(
    "key",
    [SessionKey("main", "ada", "unknown"), SessionKey("main", "eve", KEY.id)],
    ids=["unknown", "another user's"],
)
async def test_what_is_not_there_is_not_ended(
    store: Store, sink: RecordingSink, key: SessionKey
) -> None:
    await opened(store, KEY)
    assert not await store.revoke_session(key, POLICY)
    assert await ids(store) == {KEY.id}
    assert sink.revocations == []


async def test_a_session_is_ended_once(store: Store) -> None:
    await opened(store, KEY)
    assert [await store.revoke_session(KEY, POLICY) for _ in range(2)] == [True, False]


async def test_an_access_token_with_a_longer_life_ends_too(
    store: Store, sink: RecordingSink
) -> None:
    day = 86_400
    await store.open_session(KEY, SINGLE, presented=token(), access_life=day * 1000)
    await store.revoke_session(KEY, SINGLE)
    await until(lambda: sink.revocations)
    assert sink.revocations[0].until > time.time() + day - 5


async def test_many_keys_are_gone_through_page_by_page(store: Store) -> None:
    mine = [SessionKey("main", "ada", f"m{number}") for number in range(30)]
    await opened(store, *mine)
    await opened(store, *[SessionKey("main", f"u{n}", f"s{n}") for n in range(1200)])
    assert await ids(store) == {key.id for key in mine}


async def test_without_time_the_list_is_told_to_be_incomplete() -> None:
    store = MemoryStore(wall=FrozenClock())
    await opened(store, *[SessionKey("main", "ada", str(number)) for number in range(300)])
    found = await store.sessions("main", "ada", patience=0)
    assert not found.is_complete
    assert len(found.sessions) < 300


async def test_the_newest_come_first_and_no_more_than_a_thousand() -> None:
    clock = FrozenClock()
    store = MemoryStore(wall=clock)
    for number in range(1100):
        clock.advance(1)
        await opened(store, SessionKey("main", "ada", str(number)))
    found = await store.sessions("main", "ada", patience=5)
    assert (len(found.sessions), found.is_complete) == (1000, False)
    began = [one.began for one in found.sessions]
    assert began == sorted(began, reverse=True)
