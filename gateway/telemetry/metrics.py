"""What is counted, under the names of docs/operations.md, in Prometheus's text format.

Rule: labels are names from the configuration and words from docs/errors.md, never what a client
sent; their number is bounded.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.telemetry.request_metrics import RequestMetrics
from gateway.telemetry.summed import Snapshot, snapshot
from gateway.telemetry.token_metrics import TokenMetrics
from gateway.telemetry.upstream_metrics import UpstreamMetrics

# Seconds: from a loopback's fraction of a millisecond up to what `max_staleness` bears.
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics()
        self._registry.register(self.requests)
        self.upstreams = UpstreamMetrics()
        self._registry.register(self.upstreams)
        self.tokens = TokenMetrics()
        self._registry.register(self.tokens)
        self.refreshes = Counter(
            "gateway_refresh_total",
            "Refreshes by their outcome.",
            ("issuer", "outcome"),
            registry=self._registry,
        )
        self.revocations = Counter(
            "gateway_revocations_total",
            "Sessions, and users' sessions, that were ended here, by the cause.",
            ("issuer", "why"),
            registry=self._registry,
        )
        self.revocation_lag = Histogram(
            "gateway_revocation_lag_seconds",
            "From a revocation to the moment since when this process refuses its tokens.",
            buckets=_LAGS,
            registry=self._registry,
        )
        self.store_up = Gauge(
            "gateway_store_up",
            "Whether the store of sessions answers.",
            registry=self._registry,
        )
        self.inflight_requests = Gauge(
            "gateway_inflight_requests",
            "Requests that are under way; an open WebSocket is none.",
            registry=self._registry,
        )
        self.open_websockets = Gauge(
            "gateway_open_websockets",
            "WebSockets that are open here.",
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def snapshot(self) -> Snapshot:
        """What there is to add up with other processes'."""
        return snapshot(self._registry)
