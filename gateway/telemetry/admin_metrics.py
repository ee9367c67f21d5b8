"""What is counted of the admin listener itself: one a gateway, however many workers it has."""

from prometheus_client import CollectorRegistry, Counter, generate_latest

from gateway.telemetry.summed import Snapshot, snapshot

REASONS = ("token_missing", "token_invalid", "rate_limited")


class AdminMetrics:
    """Counts requests to the admin API that were refused."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._denied = Counter(
            "gateway_admin_denied_total",
            "Requests to the admin API without its token, by reason.",
            ("reason",),
            registry=self._registry,
        )
        for reason in REASONS:  # there from the start, or the first one would be no increase
            self._denied.labels(reason)

    def denied(self, reason: str) -> None:
        """One of `REASONS`."""
        self._denied.labels(reason).inc()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def snapshot(self) -> Snapshot:
        return snapshot(self._registry)
