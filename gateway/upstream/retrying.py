"""When a request may be sent once more: only where it can't hurt, and never so often that retries
become the load."""

from gateway.errors import GatewayError, UpstreamError
from gateway.upstream.connection import UpstreamConnection

REPLAYABLE = 64 * 1024  # bytes of body held for a retry
PART = 0.2  # of the requests may be retries
_MOST = 100.0  # retries that can be saved up
_EACH_SECOND = 1.0  # … that are earned without any request


class RetryBudget:
    """What retries an upstream may still be burdened with."""

    __slots__ = ("_left", "spent")

    def __init__(self) -> None:
        self._left = 10.0
        self.spent = 0

    def earn(self, requests: int, seconds: float) -> None:
        """So many requests were sent, in so long."""
        self._left = min(_MOST, self._left + PART * requests + _EACH_SECOND * seconds)

    def spend(self) -> bool:
        """Whether a retry may be made now, which this counts."""
        if self._left < 1:
            return False
        self._left -= 1
        self.spent += 1
        return True


def is_lost(error: GatewayError, connection: UpstreamConnection) -> bool:
    """Whether the connection ended before a byte of the answer came.

    Then a request that is idempotent (RFC 9110 §9.2.2) may be sent again. Not one that timed out:
    what was too slow is not asked to do it twice.
    """
    is_broken = isinstance(error, UpstreamError) and error.reason == "upstream_broken"
    return is_broken and not connection.has_answered
