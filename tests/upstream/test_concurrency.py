"""The limit finds what a server can bear, in a model of one: so many workers, so long an answer."""

import pytest

from gateway.config import AdaptiveConcurrencyConfig
from gateway.upstream.concurrency import ConcurrencyLimit

SETTINGS = AdaptiveConcurrencyConfig.model_validate({})


class Workers:
    """So many of them, each taking `seconds` for an answer; who comes waits for one."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number = number
        self.seconds = seconds

    def run(self, limit: ConcurrencyLimit, now: float, seconds: float) -> tuple[float, float]:
        """With more to do than they can: when it is then, and how much was done a second."""
        done, end = 0.0, now + seconds
        while now < end:
            at_once = 0
            while limit.admits(at_once, is_urgent=True):
                at_once += 1
            takes = self.seconds * max(1.0, at_once / self.number)
            answers = max(1, round(0.1 * at_once / takes))
            for _ in range(answers):
                limit.took(takes)
            done += 0.1 * at_once / takes
            now += 0.1
            limit.tick(now)
        return now, done / seconds


@pytest.mark.parametrize("number", [4, 16, 64])
def test_it_settles_a_little_above_what_the_workers_can_do(number: int) -> None:
    limit = ConcurrencyLimit(SETTINGS)
    now, _ = Workers(number, 0.02).run(limit, 1.0, 10)
    for _ in range(4):  # through several probes
        now, rate = Workers(number, 0.02).run(limit, now, 30)
        assert rate >= 0.9 * number / 0.02
        assert number <= (limit._before_probe or limit.limit) <= 4 * number


def test_it_recovers_within_two_seconds() -> None:
    limit = ConcurrencyLimit(SETTINGS)
    now, _ = Workers(16, 0.02).run(limit, 1.0, 10)
    now, _ = Workers(16, 0.5).run(limit, now, 5)  # a bad moment
    now, _ = Workers(16, 0.02).run(limit, now, 2)
    _, rate = Workers(16, 0.02).run(limit, now, 2)
    assert rate >= 0.9 * 16 / 0.02


def test_it_does_not_grow_while_nobody_needs_it() -> None:
    limit = ConcurrencyLimit(SETTINGS)
    now = 1.0
    for _ in range(100):
        limit.admits(2, is_urgent=True)
        for _ in range(20):
            limit.took(0.02)
        now += 0.1
        limit.tick(now)
    assert limit.limit <= SETTINGS.initial


def test_a_part_is_kept_for_who_goes_first() -> None:
    limit = ConcurrencyLimit(SETTINGS)
    urgent = sum(limit.admits(number, is_urgent=True) for number in range(100))
    others = sum(limit.admits(number, is_urgent=False) for number in range(100))
    assert (urgent, others) == (20, 18)


def test_it_stays_within_its_bounds() -> None:
    limit = ConcurrencyLimit(AdaptiveConcurrencyConfig.model_validate({"min": 4, "max": 30}))
    Workers(1, 1.0).run(limit, 1.0, 60)
    assert limit.limit >= 4
    Workers(500, 0.02).run(limit, 100.0, 60)
    assert limit.limit <= 30
