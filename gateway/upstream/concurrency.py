"""How many requests an upstream can bear at once, found out while it works: a gradient limiter.

Beyond what its workers can do at once, more requests only make each of them slower. So the limit
shrinks as answers take longer than the quickest of late, and grows while they do not: what
Netflix's concurrency-limits (Gradient2) and Envoy's adaptive concurrency filter do. Now and then
the limit is lowered for a moment, so that the quickest is measured without a queue; else the queue
would come to be taken for the server's own time.
"""

import math
from collections import deque

from gateway.config import AdaptiveConcurrencyConfig

TOLERANCE = 1.5  # how many times the quickest an answer may take before the limit shrinks
RESERVED = 0.1  # of the limit, for those who are served first
FIRST_PROBE = 1.0  # seconds after the start; each of the next waits twice as long
PROBE_EVERY = 20.0  # … up to this
PROBE = 0.25  # of the limit, while the quickest is measured
FEWEST = 10  # answers that tell something
_LONGEST = 1.0  # seconds after which fewer do too
_REMEMBERED = 30.0  # seconds in which the quickest is looked for


class ConcurrencyLimit:
    """The limit of one upstream, per worker. Times in seconds."""

    def __init__(self, settings: AdaptiveConcurrencyConfig) -> None:
        self._settings = settings
        self.limit = float(settings.initial)
        self._took: list[float] = []
        self._most = 0  # requests at once since the last step
        self._quickest: deque[tuple[float, float]] = deque()  # (when, how long), of each step
        self._stepped = 0.0
        self._probe_at = 0.0
        self._probe_wait = FIRST_PROBE
        self._before_probe: float | None = None
        self._is_probe_clear = False  # of what was asked before it

    def __repr__(self) -> str:
        return f"<ConcurrencyLimit {self.limit:.1f}>"

    def admits(self, in_flight: int, *, is_urgent: bool) -> bool:
        """Whether one more request may go there."""
        self._most = max(self._most, in_flight + 1)
        limit = max(1.0, self.limit)
        if not is_urgent:
            limit = max(1.0, limit - max(1.0, RESERVED * limit))
        return in_flight + 1 <= limit

    def took(self, seconds: float) -> None:
        """An answer took so long."""
        self._took.append(seconds)

    def tick(self, now: float) -> None:
        """A step, if it is time for one and there is something to learn from."""
        if not self._stepped:
            self._stepped, self._probe_at = now, now + FIRST_PROBE
        passed, took = now - self._stepped, self._took
        if passed < self._settings.interval:
            return
        if not took:
            if passed >= _LONGEST:
                self._go_on(now)
            return
        if len(took) < FEWEST and passed < _LONGEST:
            return
        took.sort()
        middle = took[len(took) // 2]
        self._remember(now, middle)
        if self._before_probe is None and now < self._probe_at:
            self._step(middle)
        else:
            self._probe(now)
        self._stepped, self._took, self._most = now, [], 0

    def _go_on(self, now: float) -> None:
        """Nothing was answered: what is under way lasts long, and must not lock others out."""
        if self._before_probe is not None:
            self.limit, self._before_probe = self._before_probe, None
        elif self._most > self.limit:
            self.limit = min(float(self._settings.max), self.limit + math.sqrt(self.limit))
        self._stepped, self._most = now, 0

    @property
    def _least(self) -> float:
        return float(self._settings.min)

    def _remember(self, now: float, seconds: float) -> None:
        quickest = self._quickest
        while quickest and quickest[0][0] < now - _REMEMBERED:
            quickest.popleft()
        while quickest and quickest[-1][1] >= seconds:  # never the least again
            quickest.pop()
        quickest.append((now, seconds))

    def _probe(self, now: float) -> None:
        """Lowers the limit, for one step that is still busy with the past and one that counts."""
        if self._before_probe is None:
            self._probe_wait = min(PROBE_EVERY, 2 * self._probe_wait)
            self._probe_at = now + self._probe_wait
            self._before_probe, self.limit = self.limit, max(self._least, self.limit * PROBE)
            self._is_probe_clear = False
        elif not self._is_probe_clear:
            self._is_probe_clear = True
        else:
            self.limit, self._before_probe = self._before_probe, None

    def _step(self, middle: float) -> None:
        gradient = max(0.5, min(1.0, TOLERANCE * self._quickest[0][1] / max(middle, 1e-6)))
        if gradient == 1.0 and self._most < self.limit / 2:
            return  # nobody needs more
        wanted = self.limit * gradient + math.sqrt(self.limit)
        self.limit = max(self._least, min(float(self._settings.max), wanted))
