"""How fast counters grew: over the last minute, and never less than nothing."""

import pytest

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.rates import Count, Rates, totals
from tests.factories import FrozenClock

PLACE = ("gateway_requests_total", "/", "GET", "200")


def asked(metrics: Metrics, times: int) -> None:
    for _ in range(times):
        metrics.requests.count("/", "GET", 200, "", 0.003)


def test_the_counters_alone_are_taken() -> None:
    metrics = Metrics()
    asked(metrics, 3)
    metrics.refreshes.labels("students", "rotated").inc()
    found = totals(metrics.snapshot())
    assert found[PLACE] == 3
    assert found["gateway_refresh_total", "students", "rotated"] == 1
    assert not [place for place in found if "seconds" in place[0] or "created" in place[0]]


def test_without_a_sample_or_a_second_nothing_is_said_of_a_rate() -> None:
    metrics, clock = Metrics(), FrozenClock()
    rates = Rates(clock=clock)
    asked(metrics, 3)
    assert rates.counts(metrics.snapshot())[PLACE] == Count(3, None)
    rates.take(metrics.snapshot())
    clock.advance(0.5)
    assert rates.counts(metrics.snapshot())[PLACE] == Count(3, None)


def test_a_rate_is_that_of_the_last_minute() -> None:
    metrics, clock = Metrics(), FrozenClock()
    rates = Rates(clock=clock)
    for _ in range(40):  # 200 seconds
        asked(metrics, 10)
        rates.take(metrics.snapshot())
        clock.advance(5)
    counted = rates.counts(metrics.snapshot())[PLACE]
    assert counted.total == 400
    assert counted.per_second == pytest.approx(2, rel=0.1)
    for _ in range(13):
        rates.take(metrics.snapshot())
        clock.advance(5)
    assert rates.counts(metrics.snapshot())[PLACE] == Count(400, 0.0)


def test_what_began_after_the_first_sample_counts_from_nothing() -> None:
    metrics, clock = Metrics(), FrozenClock()
    rates = Rates(clock=clock)
    rates.take(metrics.snapshot())
    clock.advance(10)
    asked(metrics, 5)
    assert rates.counts(metrics.snapshot())[PLACE] == Count(5, 0.5)


def test_a_counter_that_went_back_is_no_negative_rate() -> None:
    before, after, clock = Metrics(), Metrics(), FrozenClock()
    rates = Rates(clock=clock)
    asked(before, 9)
    rates.take(before.snapshot())
    clock.advance(10)
    asked(after, 2)
    assert rates.counts(after.snapshot())[PLACE] == Count(2, 0.0)
