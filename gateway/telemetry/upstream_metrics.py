"""How the upstreams are, read off them when somebody asks."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.durations import Durations
from gateway.upstream.pool import Upstream


class UpstreamMetrics(Collector):
    """Follows the upstreams of the gateway that answers; what was counted outlives a reload."""

    def __init__(self) -> None:
        self._upstreams: Mapping[str, Upstream] = {}
        self._durations: dict[str, Durations] = {}
        self._retries: dict[str, int] = {}

    def durations(self, upstream: str) -> Durations:
        """Where an upstream of this name counts how long its answers took."""
        return self._durations.setdefault(upstream, Durations())

    def follow(self, upstreams: Mapping[str, Upstream]) -> None:
        for name, upstream in self._upstreams.items():
            self._retries[name] = self._retries.get(name, 0) + upstream.budget.spent
        self._upstreams = upstreams

    def collect(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "gateway_upstream_duration_seconds",
            "From sending a request to the end of the upstream's answer; of whole answers.",
            labels=("upstream",),
        )
        for name, durations in self._durations.items():
            seconds.add_metric((name,), durations.buckets(), durations.total)
        yield seconds
        retries = CounterMetricFamily(
            "gateway_upstream_retries", "Requests that were sent once more.", labels=("upstream",)
        )
        for name in {**self._retries, **self._upstreams}:
            now = self._upstreams[name].budget.spent if name in self._upstreams else 0
            retries.add_metric((name,), self._retries.get(name, 0) + now)
        yield retries
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "gateway_upstream_up",
            "Whether the server is asked: accepts connections, passes its checks, circuit closed.",
            labels=("upstream", "server"),
        )
        connections = GaugeMetricFamily(
            "gateway_upstream_connections",
            "Connections by state: idle, busy, connecting.",
            labels=("upstream", "server", "state"),
        )
        pending = GaugeMetricFamily(
            "gateway_upstream_pending_requests",
            "Requests that wait for a connection.",
            labels=("upstream",),
        )
        limit = GaugeMetricFamily(
            "gateway_upstream_concurrency_limit",
            "Requests at once that adaptive_concurrency allows.",
            labels=("upstream",),
        )
        for name, upstream in self._upstreams.items():
            pending.add_metric((name,), len(upstream.waiters))
            if upstream.concurrency is not None:
                limit.add_metric((name,), upstream.concurrency.limit)
            states: Counter[tuple[str, str]] = Counter()
            are_up: dict[str, bool] = {}
            for server in upstream.servers.present:  # two names may stand for the same address
                are_up[server.name] = server.health.is_up and are_up.get(server.name, True)
                states[server.name, "idle"] += len(server.idle)
                states[server.name, "busy"] += len(server.busy)
                states[server.name, "connecting"] += server.connecting
            for address, is_up in are_up.items():
                up.add_metric((name, address), float(is_up))
            for (address, state), number in states.items():
                connections.add_metric((name, address, state), number)
        yield from (up, connections, pending, limit)
