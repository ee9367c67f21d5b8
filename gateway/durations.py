"""How long something took, counted in buckets: a few additions, told when somebody asks."""

from bisect import bisect_left
from typing import Final

# Seconds, from what the gateway itself takes up to what `timeouts.read` bears by default.
BOUNDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
)  # fmt: skip


class Durations:
    """How many took up to each bound and no less than the one before, and all seconds together."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each holds all that took no longer."""
        buckets: list[tuple[str, float]] = []
        sum_so_far = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            sum_so_far += count
            buckets.append((bound, sum_so_far))
        return buckets
