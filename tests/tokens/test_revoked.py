"""A client that refreshes its only token again and again: each time one more step to remember."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import Identity
from gateway.stores.base import Kind, Revocation
from gateway.tokens.revoked import BUCKET, MOST_STEPS, Revoked
from tests.factories import FrozenClock

GRACE = 10.0
LIFE = 300.0
START = 1000.0
SLACK = 1.0  # seconds that an old token may live longer where there are many


def bearer(generation: int) -> Identity:
    return Identity("students", "u", session_id="s", expires_at=1e9, generation=generation)


def refreshed(generation: int, at: float) -> Revocation:
    since = at + GRACE
    return Revocation(Kind.GENERATION, "students", "s", since + LIFE, since, generation)


def steps_of(revoked: Revoked) -> int:
    return len(revoked._generations["s"].steps)


def filed_in(revoked: Revoked) -> int:
    buckets = revoked._dues._buckets.values()
    return sum(sum(map(len, full)) + len(filling) for full, filling in buckets)


def test_a_quick_client_costs_no_more_the_more_it_refreshes() -> None:
    clock, revoked, most = FrozenClock(START), Revoked(), 0
    for generation in range(1, 10_001):
        clock.advance(0.01)
        revoked.add(refreshed(generation, clock.now), clock.now)
        most = max(most, steps_of(revoked))
    assert most <= MOST_STEPS
    assert filed_in(revoked) <= (clock.now - START) / BUCKET + 2
    for _ in range(10):  # the log is read anew
        revoked.add(refreshed(9_999, clock.now - 0.01), clock.now)
    assert steps_of(revoked) <= MOST_STEPS
    assert len(revoked) == 1
    clock.advance(GRACE + LIFE + BUCKET)
    while revoked.drop(clock.now):
        pass
    assert (len(revoked), filed_in(revoked)) == (0, 0)


def test_a_client_that_takes_its_time_is_held_to_the_grace_exactly() -> None:
    clock, revoked = FrozenClock(START), Revoked()
    for generation in range(1, MOST_STEPS + 1):
        clock.advance(GRACE / MOST_STEPS)
        revoked.add(refreshed(generation, clock.now), clock.now)
    for generation in range(1, MOST_STEPS + 1):
        end = START + generation * GRACE / MOST_STEPS + GRACE
        assert not revoked.has_revoked(bearer(generation - 1), lambda: end - 1e-6)  # noqa: B023
        assert revoked.has_revoked(bearer(generation - 1), lambda: end + 1e-6)  # noqa: B023


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_in_any_order_an_old_token_lives_a_second_longer_at_most(data: st.DataObject) -> None:
    pauses = data.draw(st.lists(st.sampled_from([0.0, 0.01, 0.2, 0.7, 3.0]), max_size=120))
    moments = [START]
    for pause in pauses:
        moments.append(moments[-1] + pause)
    written = [refreshed(number, at) for number, at in enumerate(moments, 1)]
    told = data.draw(st.permutations(written + written[::3]))
    clock, revoked = FrozenClock(START), Revoked()
    first_told: dict[int, Revocation] = {}
    held = data.draw(st.integers(0, len(written)))
    for one in told:
        revoked.add(one, clock.now)
        first_told[one.generation] = one
        assert steps_of(revoked) <= MOST_STEPS
        clock.advance(data.draw(st.sampled_from([0.0, 0.0, 0.05, 1.0])))
        ends = min((e.since for e in first_told.values() if held < e.generation), default=math.inf)
        is_revoked = revoked.has_revoked(bearer(held), clock)
        assert is_revoked or clock.now < ends + SLACK
        assert not is_revoked or clock.now >= ends
