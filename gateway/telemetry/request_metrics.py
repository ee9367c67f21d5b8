"""What is counted of every request: a few dictionary entries, told when somebody asks.

Rule: labels are names from the configuration, methods and statuses, and words from docs/errors.md;
a method that HTTP's own RFCs do not name is `other`.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.durations import Durations

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", ""}
)


class RequestMetrics(Collector):
    """Counts requests; a registry collects them."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}
        self._denied: dict[tuple[str, str], int] = {}
        self._durations: dict[str, Durations] = {}

    def count(self, route: str, method: str, status: int, reason: str, seconds: float) -> None:
        """One request is over; `reason` is empty where it was forwarded."""
        key = (route, method if method in _METHODS else "other", status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if status != 101:  # a socket's life is no request's
            durations = self._durations.get(route)
            if durations is None:
                durations = self._durations[route] = Durations()
            durations.add(seconds)
        if reason:
            denied = (route, reason)
            self._denied[denied] = self._denied.get(denied, 0) + 1

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "gateway_requests",
            "Requests by route, method and status; 499: the client left before its answer.",
            labels=("route", "method", "status"),
        )
        for (route, method, status), number in self._requests.items():
            requests.add_metric((route, method, str(status)), number)
        yield requests
        denied = CounterMetricFamily(
            "gateway_denied",
            "Requests that the gateway refused, or that failed, by route and reason.",
            labels=("route", "reason"),
        )
        for labels, number in self._denied.items():
            denied.add_metric(labels, number)
        yield denied
        seconds = HistogramMetricFamily(
            "gateway_request_duration_seconds",
            "From a request's head to the end of its answer; of no WebSocket.",
            labels=("route",),
        )
        for route, durations in self._durations.items():
            seconds.add_metric((route,), durations.buckets(), durations.total)
        yield seconds
