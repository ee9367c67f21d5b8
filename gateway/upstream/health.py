"""How a server is: what connections, answers and checks have shown of it.

Rules
- A connection that is not accepted ejects the server, each time in a row for twice as long.
- Checks take a server out, and bring it back, after so many outcomes in a row.
- A server that comes back gets its full share little by little.
"""

import logging
from collections.abc import Callable

from gateway.config import CircuitBreakerConfig, HealthCheckConfig
from gateway.upstream.circuit import Circuit, CircuitBreaker

FIRST_EJECTION = 1.0  # seconds
LONGEST_EJECTION = 30.0
SMALLEST_SHARE = 0.1  # of its weight, which a server has that comes back
_MOST_EJECTIONS = 10  # in a row, that are counted
_OVERLOADED = (502, 503, 504)  # answers of a server, or what stands before it, that can't answer

_LOG = logging.getLogger(__name__)


class Health:
    """The state of one server; `on_change()` is called when it may be asked or no more.

    Times in seconds, `now` by the loop's clock.
    """

    def __init__(
        self,
        name: str,
        *,
        breaker: CircuitBreakerConfig | None,
        check: HealthCheckConfig | None,
        slow_start: float,
    ) -> None:
        self._name = name
        self.breaker = CircuitBreaker(breaker) if breaker is not None else None
        self._check = check
        self._slow_start = slow_start
        self._ejections = 0  # in a row
        self._ejected_until = 0.0
        self._is_ejected = False
        self._is_sick = False  # by the checks
        self._outcomes = 0  # of checks in a row that speak against what is believed
        self._back_since: float | None = None
        self.on_change: Callable[[], None] = _nobody_asks

    @property
    def is_well(self) -> bool:
        return not (self._is_ejected or self._is_sick)

    @property
    def is_ejected(self) -> bool:
        """Whether it accepted no connection of late."""
        return self._is_ejected

    @property
    def fails_checks(self) -> bool:
        return self._is_sick

    @property
    def may_be_asked(self) -> bool:
        """Whether its breaker lets requests through."""
        return self.breaker is None or self.breaker.allows

    @property
    def is_up(self) -> bool:
        """Whether it is well as far as is known: after an ejection, not before it was reached."""
        is_reached = not (self._ejections or self._is_sick)
        return is_reached and (self.breaker is None or self.breaker.state is not Circuit.OPEN)

    def share(self, now: float) -> float:
        """How much of its weight counts, while it comes back."""
        if self._back_since is None:
            return 1.0
        passed = (now - self._back_since) / self._slow_start if self._slow_start else 1.0
        if passed >= 1:
            self._back_since = None
            return 1.0
        return max(SMALLEST_SHARE, passed)

    def inherit(self, before: "Health") -> None:
        """What was known of the server under the settings before."""
        self._ejections = before._ejections
        self._is_ejected, self._ejected_until = before._is_ejected, before._ejected_until
        self._back_since = before._back_since
        if self._check is not None:
            self._is_sick = before._is_sick
        if self.breaker is not None and before.breaker is not None:
            self.breaker.inherit(before.breaker)

    def forget(self) -> None:
        """Who was told of changes is gone."""
        self.on_change = _nobody_asks

    # What happens

    def asked(self) -> None:
        """A request goes there."""
        if self.breaker is not None and self.breaker.state is Circuit.HALF_OPEN:
            self.breaker.asked()
            self.on_change()

    def connected(self, now: float) -> None:
        """It accepted a connection."""
        if self._ejections:
            self._ejections = 0
            _LOG.info("%s accepts connections again", self._name)
            self._admit(now)

    def not_connected(self, now: float) -> None:
        """It did not accept a connection, or not in time."""
        if not self._ejections:
            _LOG.warning("%s accepts no connection", self._name)
        if not self._is_ejected:
            lasts = min(LONGEST_EJECTION, FIRST_EJECTION * 2**self._ejections)
            self._ejections = min(self._ejections + 1, _MOST_EJECTIONS)
            self._is_ejected, self._ejected_until = True, now + lasts
        self._broke(now)

    def failed(self, now: float) -> None:
        """It took a request, and gave no whole answer to it, or none in time."""
        self._broke(now)

    def answered(self, status: int, now: float) -> None:
        if self.breaker is None:
            return
        if status in _OVERLOADED:
            self._broke(now)
            return
        was_tried = self.breaker.state is Circuit.HALF_OPEN
        self.breaker.succeeded()
        if was_tried:
            _LOG.info("%s answers again: its circuit is closed", self._name)
            self._come_back(now)

    def given_up(self) -> None:
        """The client left before there was an outcome."""
        if self.breaker is not None and self.breaker.state is Circuit.HALF_OPEN:
            self.breaker.given_up()
            self.on_change()

    def checked(self, is_well: bool, now: float) -> None:
        """The outcome of an active check."""
        check = self._check
        if check is None:
            return
        if is_well is not self._is_sick:
            self._outcomes = 0
        else:
            self._outcomes += 1
            if self._outcomes < (check.healthy if self._is_sick else check.unhealthy):
                return
            self._outcomes = 0
            self._is_sick = not is_well
            if self._is_sick:
                _LOG.warning("%s fails its health check", self._name)
                self.on_change()
            else:
                _LOG.info("%s passes its health check again", self._name)
                self._come_back(now)
        if is_well:
            self.connected(now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if now >= self._ejected_until:
            self._admit(now)
        if self.breaker is not None and self.breaker.tick(now):
            self.on_change()

    def _broke(self, now: float) -> None:
        if self.breaker is not None:
            was = self.breaker.state
            self.breaker.failed(now)
            if was is Circuit.CLOSED and self.breaker.state is Circuit.OPEN:
                _LOG.warning("%s fails too often: its circuit is open", self._name)
        self.on_change()

    def _admit(self, now: float) -> None:
        if self._is_ejected:
            self._is_ejected = False
            self._come_back(now)

    def _come_back(self, now: float) -> None:
        self._back_since = now
        self.on_change()


def _nobody_asks() -> None:
    """Until an upstream wants to know."""
