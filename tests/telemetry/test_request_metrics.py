"""Requests are counted under the names of the contract, and labels stay few."""

from gateway.telemetry.metrics import Metrics


def lines_of(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if line.startswith(name)]


def test_requests_are_counted_by_route_method_and_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 404):
        metrics.requests.count("/api/", "GET", status, "", 0.003)
    assert lines_of(metrics, "gateway_requests_total") == [
        'gateway_requests_total{method="GET",route="/api/",status="200"} 2.0',
        'gateway_requests_total{method="GET",route="/api/",status="404"} 1.0',
    ]


def test_only_a_reason_counts_as_denied() -> None:
    metrics = Metrics()
    metrics.requests.count("/api/", "GET", 401, "token_expired", 0.0)
    metrics.requests.count("/api/", "GET", 401, "", 0.0)  # the upstream's own
    assert lines_of(metrics, "gateway_denied_total") == [
        'gateway_denied_total{reason="token_expired",route="/api/"} 1.0'
    ]


def test_durations_are_a_histogram_of_each_route() -> None:
    metrics = Metrics()
    for seconds in (0.0004, 0.001, 0.3, 100.0):
        metrics.requests.count("/", "GET", 200, "", seconds)
    buckets = lines_of(metrics, "gateway_request_duration_seconds_bucket")
    counts = {line.split('le="')[1].split('"')[0]: line.rsplit(" ", 1)[1] for line in buckets}
    assert counts["0.001"] == "2.0"
    assert counts["0.25"] == "2.0"
    assert counts["0.5"] == "3.0"
    assert counts["+Inf"] == "4.0"
    (total,) = lines_of(metrics, "gateway_request_duration_seconds_sum")
    assert total.endswith(" 100.3014")


def test_an_invented_method_makes_no_label_of_its_own() -> None:
    metrics = Metrics()
    metrics.requests.count("/", "BREW", 200, "", 0.0)
    (line,) = lines_of(metrics, "gateway_requests_total")
    assert 'method="other"' in line
