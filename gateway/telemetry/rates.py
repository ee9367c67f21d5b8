"""How fast counters grew of late: samples of what workers have counted, over a minute."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from gateway.telemetry.summed import Snapshot

EVERY = 5.0  # seconds
WINDOW = 60.0
SHORTEST = 1.0

Place = tuple[str, ...]  # a counter's name, and the values of its labels in their order


class Count(NamedTuple):
    """A counter, and how much it grew a second; None while that is not known."""

    total: int
    per_second: float | None


class Rates:
    """The samples of the last minute; of less than `SHORTEST` nothing is said. Times in seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, Mapping[Place, float]]] = deque()

    def take(self, snapshot: Snapshot) -> None:
        now = self._clock()
        self._samples.append((now, totals(snapshot)))
        while self._samples[0][0] < now - WINDOW:
            self._samples.popleft()

    async def run(self, read: Callable[[], Awaitable[Snapshot]]) -> None:
        """Takes samples until cancelled."""
        while True:
            self.take(await read())
            await asyncio.sleep(EVERY)

    def counts(self, snapshot: Snapshot) -> dict[Place, Count]:
        """All counters as they are now, by how they were."""
        now = self._clock()
        since, before = self._samples[0] if self._samples else (now, {})
        passed = now - since
        return {
            place: Count(
                int(total),
                max(0.0, total - before.get(place, 0.0)) / passed if passed >= SHORTEST else None,
            )
            for place, total in totals(snapshot).items()
        }


def totals(snapshot: Snapshot) -> dict[Place, float]:
    """The counters among all metrics."""
    return {
        (name, *(value for _, value in labels)): value
        for family in snapshot
        if family.type == "counter"
        for name, labels, value in family.samples
        if name.endswith("_total")
    }
