"""The local view of revocations: what it ends, how long it remembers, and what age does to it."""

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import AuthenticationFailed, Flaw, StoreUnavailable
from gateway.identity import Identity
from gateway.stores.base import Kind, Revocation, RevocationSink
from gateway.tokens import revocation
from gateway.tokens.revocation import RevocationView
from gateway.tokens.revoked import BUCKET, CHUNK
from tests.factories import FrozenClock

HOUR = 3600.0


def a_view(
    clock: Callable[[], float],
    *,
    on_outage: Literal["deny", "allow"] = "deny",
    is_local: bool = False,
    on_lag: Callable[[float], None] | None = None,
) -> RevocationView:
    return RevocationView(
        max_staleness=30,
        on_outage=on_outage,
        is_local=is_local,
        monotonic=clock,
        wall=clock,
        on_lag=on_lag,
    )


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(1000.0)


@pytest.fixture
def view(clock: FrozenClock) -> RevocationView:
    view = a_view(clock)
    view.confirm()
    return view


def bearer(**changes: Any) -> Identity:
    told: dict[str, Any] = {
        "issuer": "students",
        "user_id": "u",
        "expires_at": 1e9,
        "session_id": "s",
        "issued_at": 990.0,
    }
    return Identity(**{**told, **changes})


def session(id_: str = "s", until: float = HOUR, issuer: str = "students") -> Revocation:
    return Revocation(Kind.SESSION, issuer, id_, until)


def user(since: float, until: float = HOUR) -> Revocation:
    return Revocation(Kind.USER, "students", "u", until, since=since)


def generation(least: int, since: float, until: float = HOUR) -> Revocation:
    return Revocation(Kind.GENERATION, "students", "s", until, since, least)


@pytest.mark.parametrize(
    ("entry", "identity", "is_revoked"),
    [
        (session(), bearer(), True),
        (session(), bearer(session_id="t"), False),
        (session(), bearer(session_id=None), False),
        (session(), bearer(issuer="employees"), False),
        (session(issuer="employees"), bearer(), False),
        (session("u"), bearer(), False),
        (user(since=990), bearer(), True),
        (user(since=989.5), bearer(), False),
        (user(since=990), bearer(issued_at=None), True),
        (user(since=990), bearer(user_id="v"), False),
        (user(since=990), bearer(session_id=None), True),
        (generation(3, since=1000), bearer(generation=2), True),
        (generation(3, since=1000), bearer(generation=3), False),
        (generation(3, since=1000), bearer(generation=None), False),
        (generation(3, since=1000), bearer(generation=2, session_id="t"), False),
        (generation(3, since=1000.5), bearer(generation=2), False),
    ],
    ids=[
        "its session",
        "another session",
        "no session",
        "another issuer's token",
        "another issuer's revocation",
        "a session named like the user",
        "issued at the user's not-before",
        "issued after it",
        "issue time unknown",
        "another user",
        "a user's token without session",
        "an older generation",
        "the generation itself",
        "no generation",
        "another session's generation",
        "still within the grace",
    ],
)
def test_what_an_entry_ends(
    view: RevocationView, entry: Revocation, identity: Identity, is_revoked: bool
) -> None:
    view.check(identity)
    view.apply([entry], lag=0.0)
    assert view.is_revoked(identity) is is_revoked
    if not is_revoked:
        view.check(identity)
        return
    with pytest.raises(AuthenticationFailed) as refused:
        view.check(identity)
    assert (refused.value.flaw, refused.value.issuer) == (Flaw.REVOKED, "students")


@pytest.mark.parametrize(
    ("entry", "has_ended"),
    [(session(), True), (user(since=990), True), (generation(3, since=1000), False)],
    ids=["its session", "its user", "a refresh"],
)
def test_what_ends_a_sliding_tokens_session(
    view: RevocationView, entry: Revocation, has_ended: bool
) -> None:
    view.apply([entry], lag=None)
    assert view.is_revoked(bearer(generation=2))
    assert view.has_ended(bearer(generation=2)) is has_ended


@pytest.mark.parametrize(
    ("entry", "identity"),
    [
        (session(until=1010), bearer()),
        (user(since=1000, until=1010), bearer()),
        (generation(1, since=1000, until=1010), bearer(generation=0)),
    ],
    ids=["session", "user", "generation"],
)
@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept yet"])
def test_an_entry_ends_when_no_token_can_be_alive(
    view: RevocationView, clock: FrozenClock, entry: Revocation, identity: Identity, is_swept: bool
) -> None:
    view.apply([entry], lag=None)
    clock.now = 1009.99
    view.sweep()
    assert view.is_revoked(identity)
    clock.now = 1010.0 if not is_swept else 1010.0 + BUCKET
    if is_swept:
        assert view.sweep() is False
        assert len(view) == 0
    assert not view.is_revoked(identity)


@pytest.mark.parametrize("order", [1, -1], ids=["longer last", "longer first"])
@pytest.mark.parametrize(
    ("entries", "identity"),
    [
        ([session(until=1010), session(until=1100)], bearer()),
        ([user(990, until=1010), user(980, until=1100)], bearer()),
        ([generation(2, 900, until=1010), generation(1, 900, until=1100)], bearer(generation=1)),
    ],
    ids=["session", "user", "generation"],
)
def test_told_twice_the_stricter_word_stays(
    view: RevocationView,
    clock: FrozenClock,
    entries: list[Revocation],
    identity: Identity,
    order: int,
) -> None:
    for _ in range(3):
        view.apply(entries[::order], lag=None)
    assert len(view) == 1
    clock.now = 1099.9
    view.sweep()
    assert view.is_revoked(identity)
    clock.now = 1110.0
    view.sweep()
    assert len(view) == 0


def test_the_log_read_anew_costs_nothing_more(view: RevocationView, clock: FrozenClock) -> None:
    for _ in range(2 * revocation.SWEPT_AT_ONCE):
        view.apply([session(until=1010)], lag=None)
    clock.now = 1020.0
    assert view.sweep() is False
    assert len(view) == 0


def test_what_is_over_already_is_not_taken_in(view: RevocationView) -> None:
    view.apply([session(until=1000), session("t", until=999)], lag=None)
    assert len(view) == 0


def test_tokens_that_never_expire_stay_revoked(view: RevocationView, clock: FrozenClock) -> None:
    view.apply([session(until=float("inf"))], lag=None)
    clock.now = 1e12
    assert view.sweep() is False
    assert view.is_revoked(bearer())


def test_a_generation_to_come_does_not_lift_the_one_in_force(
    view: RevocationView, clock: FrozenClock
) -> None:
    view.apply([generation(2, since=1000), generation(3, since=1010)], lag=0.0)
    assert [view.is_revoked(bearer(generation=n)) for n in (1, 2, 3)] == [True, False, False]
    clock.now = 1010.0
    assert [view.is_revoked(bearer(generation=n)) for n in (1, 2, 3)] == [True, True, False]


generations = st.builds(
    generation,
    least=st.integers(0, 6),
    since=st.integers(980, 1030).map(float),
    until=st.just(HOUR),
)


@given(
    entries=st.lists(st.tuples(generations, st.integers(0, 8)), max_size=8),
    held=st.integers(0, 6),
)
@settings(max_examples=200, deadline=None)
def test_generations_in_any_order_are_each_obeyed(
    entries: list[tuple[Revocation, int]], held: int
) -> None:
    clock = FrozenClock(1000.0)
    view = a_view(clock)
    told = []
    for entry, pause in entries:
        view.apply([entry], lag=0.0)
        told.append(entry)
        clock.advance(pause)
        expected = any(held < e.generation and clock.now >= e.since for e in told)
        assert view.is_revoked(bearer(generation=held)) is expected


def test_a_sweep_takes_a_bounded_part_and_loses_nothing_early(
    view: RevocationView, clock: FrozenClock
) -> None:
    count = 3 * revocation.SWEPT_AT_ONCE
    chance = random.Random(7)
    untils = {f"s{number}": 1001 + 60 * chance.random() for number in range(count)}
    view.apply([session(id_, until) for id_, until in untils.items()], lag=None)
    clock.now = 1030.0
    sizes = [len(view)]
    while view.sweep():
        sizes.append(len(view))
    sizes.append(len(view))
    most = revocation.SWEPT_AT_ONCE + CHUNK
    assert max(before - after for before, after in pairwise(sizes)) < most
    alive = {id_ for id_, until in untils.items() if until > clock.now}
    assert all(view.is_revoked(bearer(session_id=id_)) is (id_ in alive) for id_ in untils)
    overdue = sum(until <= clock.now - BUCKET for until in untils.values())
    assert len(view) <= count - overdue
    clock.now = 1070.0
    while view.sweep():
        pass
    assert len(view) == 0


async def test_the_sweeper_pauses_briefly_while_more_is_due(
    view: RevocationView, clock: FrozenClock
) -> None:
    count = 2 * revocation.SWEPT_AT_ONCE + 1
    view.apply([session(f"s{number}", 1010) for number in range(count)], lag=None)
    clock.now = 1020.0
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if seconds == revocation.SWEEP_INTERVAL:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await view.run(sleep=sleep)
    assert pauses == [revocation.SWEEP_PAUSE] * 2 + [revocation.SWEEP_INTERVAL]
    assert len(view) == 0


@pytest.mark.parametrize("on_outage", ["deny", "allow"])
def test_age_is_judged_by_on_outage(
    clock: FrozenClock, on_outage: Literal["deny", "allow"]
) -> None:
    view = a_view(clock, on_outage=on_outage)

    def is_served() -> bool:
        try:
            view.check(bearer())
        except StoreUnavailable:
            return False
        return True

    def unready(*, is_up: bool) -> str | None:
        return view.unready_because(store_is_up=is_up)

    allows = on_outage == "allow"
    not_loaded = "revocations are not loaded yet"
    assert (view.is_whole, view.staleness) == (False, float("inf"))
    assert is_served() is allows
    assert unready(is_up=True) == not_loaded
    assert unready(is_up=False) == (None if allows else not_loaded)
    view.confirm()
    clock.advance(30)
    assert (view.is_whole, view.staleness) == (True, 30.0)
    assert (is_served(), unready(is_up=False)) == (True, None)
    clock.advance(1)
    too_old = None if allows else "revocations are 31 s old"
    assert is_served() is allows
    assert unready(is_up=True) == unready(is_up=False) == too_old
    view.confirm()
    assert (is_served(), unready(is_up=True)) == (True, None)


def test_a_revoked_token_is_told_so_through_an_outage(
    view: RevocationView, clock: FrozenClock
) -> None:
    view.apply([session()], lag=0.0)
    clock.advance(HOUR / 2)
    with pytest.raises(AuthenticationFailed):
        view.check(bearer())
    with pytest.raises(StoreUnavailable) as away:
        view.check(bearer(session_id="t"))
    assert away.value.issuer == "students"


def test_a_local_view_never_ages(clock: FrozenClock) -> None:
    view = a_view(clock, is_local=True)
    clock.advance(HOUR)
    view.check(bearer())
    assert (view.is_whole, view.staleness) == (True, 0.0)
    assert view.unready_because(store_is_up=True) is None


def test_lag_is_told_unless_the_log_is_read_anew(clock: FrozenClock) -> None:
    lags: list[float] = []
    sink: RevocationSink = a_view(clock, on_lag=lags.append)
    sink.apply([session()], lag=None)
    sink.apply([session()], lag=0.25)
    assert lags == [0.25]


def test_the_repr_names_nobody(view: RevocationView, clock: FrozenClock) -> None:
    view.apply([session("secret"), user(since=990)], lag=None)
    clock.advance(2.5)
    assert repr(view) == "<RevocationView 2 entries, 2.5 s old>"


def test_a_generation_that_has_not_come_ends_none_before_it(
    view: RevocationView, clock: FrozenClock
) -> None:
    view.apply([generation(1, since=900), generation(2, since=950), generation(3, 1010)], lag=0.0)
    clock.now = 1020.0
    assert view.is_revoked(bearer(generation=2))
    undone = generation(2, since=1030)._replace(kind=Kind.UNDONE)
    for _ in range(2):
        view.apply([undone], lag=0.0)
        assert not view.is_revoked(bearer(generation=2))
    clock.now = 1030.0
    assert view.is_revoked(bearer(generation=1))
    view.apply([generation(3, since=1040)], lag=0.0)
    clock.now = 1040.0
    assert view.is_revoked(bearer(generation=2))
