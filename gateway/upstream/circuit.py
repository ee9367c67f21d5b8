"""A circuit breaker: a server that fails too often is left alone for a while, then tried once.

States as everywhere: closed (asked), open (not asked), half-open (asked once; what comes of it
closes or opens it again).
"""

from collections import deque
from enum import Enum

from gateway.config import CircuitBreakerConfig


class Circuit(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Counts failures; times in seconds, `now` by one clock."""

    __slots__ = ("_failures", "_is_trying", "_opened", "_settings", "_tried", "state")

    def __init__(self, settings: CircuitBreakerConfig) -> None:
        self._settings = settings
        self._failures: deque[float] = deque(maxlen=settings.failures)
        self._opened = 0.0
        self._is_trying = False
        self._tried: float | None = None  # since when the try is seen to last
        self.state = Circuit.CLOSED

    @property
    def allows(self) -> bool:
        """Whether the server may be asked now."""
        if self.state is Circuit.HALF_OPEN:
            return not self._is_trying
        return self.state is Circuit.CLOSED

    def retry_in(self, now: float) -> float:
        """Seconds until it may be worth asking again."""
        if self.state is not Circuit.OPEN:
            return 0.0
        return max(0.0, self._opened + self._settings.open_for - now)

    def inherit(self, before: "CircuitBreaker") -> None:
        self.state, self._opened = before.state, before._opened

    def asked(self) -> None:
        """A request goes to the server."""
        self._is_trying = self.state is Circuit.HALF_OPEN

    def succeeded(self) -> None:
        if self.state is Circuit.HALF_OPEN:
            self.state = Circuit.CLOSED
            self._failures.clear()
        self._is_trying = False

    def failed(self, now: float) -> None:
        if self.state is Circuit.OPEN:  # of a request from before: it is known already
            return
        failures = self._failures
        failures.append(now)
        if self.state is Circuit.HALF_OPEN or (
            len(failures) == failures.maxlen and now - failures[0] <= self._settings.window
        ):
            self.state, self._opened = Circuit.OPEN, now
        self._is_trying = False

    def given_up(self) -> None:
        """What was asked has no outcome: the client left."""
        self._is_trying = False

    def tick(self, now: float) -> bool:
        """Whether it is to be tried from now on: also where a try has no outcome for as long."""
        patience = self._settings.open_for
        if self.state is Circuit.OPEN and now - self._opened >= patience:
            self.state, self._tried = Circuit.HALF_OPEN, None
            return True
        if not self._is_trying:
            self._tried = None
        elif self._tried is None:
            self._tried = now
        elif now - self._tried >= patience:
            self._is_trying = False
            return True
        return False
