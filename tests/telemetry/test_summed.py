"""The metrics of several processes are shown as one, and no counter goes back."""

import re

import pytest

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.summed import SummedMetrics


def shown(summed: SummedMetrics) -> dict[str, float]:
    lines = summed.exposition().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines)
        if not name.startswith("#") and "_created" not in name
    }


def worker(*, rotated: int, lag: float, is_up: bool = True) -> Metrics:
    metrics = Metrics()
    metrics.requests.count("/", "GET", 200, "", 0.003)
    metrics.refreshes.labels("students", "rotated").inc(rotated)
    metrics.revocation_lag.observe(lag)
    metrics.store_up.set(is_up)
    return metrics


def test_counters_and_histograms_add_up() -> None:
    summed = SummedMetrics()
    summed.take(1, worker(rotated=3, lag=0.002).snapshot())
    summed.take(2, worker(rotated=4, lag=0.2).snapshot())

    now = shown(summed)
    assert now['gateway_refresh_total{issuer="students",outcome="rotated"}'] == 7
    assert now['gateway_requests_total{method="GET",route="/",status="200"}'] == 2
    assert now['gateway_request_duration_seconds_bucket{le="0.0025",route="/"}'] == 0
    assert now['gateway_request_duration_seconds_bucket{le="0.005",route="/"}'] == 2
    assert now['gateway_revocation_lag_seconds_bucket{le="0.0025"}'] == 1
    assert now['gateway_revocation_lag_seconds_bucket{le="+Inf"}'] == 2
    assert now["gateway_revocation_lag_seconds_sum"] == pytest.approx(0.202)


def test_one_process_is_shown_as_it_shows_itself() -> None:
    metrics = worker(rotated=3, lag=0.002)
    summed = SummedMetrics()
    summed.take(1, metrics.snapshot())

    assert summed.exposition() == metrics.exposition()


def test_the_store_is_up_where_it_is_up_for_all() -> None:
    summed = SummedMetrics()
    summed.take(1, worker(rotated=0, lag=1, is_up=True).snapshot())
    assert shown(summed)["gateway_store_up"] == 1
    summed.take(2, worker(rotated=0, lag=1, is_up=False).snapshot())
    assert shown(summed)["gateway_store_up"] == 0


def test_what_an_ended_process_had_counted_stays_and_its_gauges_go() -> None:
    summed = SummedMetrics()
    summed.take(1, worker(rotated=3, lag=0.002, is_up=False).snapshot())
    summed.take(2, worker(rotated=4, lag=0.2).snapshot())
    before = shown(summed)
    summed.retire(1)
    summed.take(3, worker(rotated=1, lag=0.002).snapshot())  # it begins anew

    now = shown(summed)
    assert now['gateway_refresh_total{issuer="students",outcome="rotated"}'] == 8
    assert now["gateway_store_up"] == 1
    for name, value in before.items():
        assert now[name] >= value, name


def test_a_process_that_ended_without_a_word_changes_nothing() -> None:
    summed = SummedMetrics()
    summed.take(1, worker(rotated=3, lag=0.002).snapshot())
    before = shown(summed)
    summed.retire(2)
    assert shown(summed) == before


def test_each_family_is_told_once() -> None:
    summed = SummedMetrics()
    summed.take(1, worker(rotated=3, lag=0.002).snapshot())
    summed.take(2, worker(rotated=3, lag=0.002).snapshot())
    heads = re.findall(r"^# TYPE (\S+)", summed.exposition().decode(), re.MULTILINE)
    assert len(heads) == len(set(heads))
