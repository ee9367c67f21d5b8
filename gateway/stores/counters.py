"""The counters of one process: buckets of tokens, and failures that bar a name."""

from collections.abc import Callable

from gateway.stores.expiring import Expiring

FIRST_BAR = 6.0  # seconds; doubles with each further failure


class Counters:
    """What `take`, `fail`, `failures` and `forgive` of the memory store do."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._full: Expiring[str, float] = Expiring(now=wall)  # when the bucket is full again
        self._failures: Expiring[str, tuple[int, float]] = Expiring(now=wall)

    def take(self, bucket: str, *, rate: float, burst: int) -> float:
        now = self._wall()
        full = max(now, self._full.get(bucket) or now)
        wait = full - now - (burst - 1) / rate
        if wait > 0:
            return wait
        full += 1 / rate
        self._full.put(bucket, full, until=full)
        return 0.0

    def failures(self, name: str) -> tuple[int, float]:
        count, barred = self._failures.get(name) or (0, 0.0)
        return count, max(0.0, barred - self._wall())

    def fail(self, name: str, *, limit: int, window: float, longest: float) -> float:
        now = self._wall()
        count, barred = self._failures.get(name) or (0, 0.0)
        count, bar = count + 1, 0.0
        if count >= limit:
            bar = min(FIRST_BAR * 2 ** min(count - limit, 40), longest)
            barred = now + bar
        # The window begins with the first failure; from the limit on, quiet is waited for.
        is_anew = count == 1 or count >= limit
        until = now + window + bar if is_anew else self._failures.ends(name)
        self._failures.put(name, (count, barred), until=until)
        return bar

    def forgive(self, name: str) -> None:
        self._failures.pop(name)
