"""What is counted of the token life cycle, in the words of the metrics' labels."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.stores.base import Verdict

_OUTCOMES = {
    Verdict.CURRENT: "rotated",
    Verdict.ROTATED: "rotated",
    Verdict.REPLAYED: "replayed",
    Verdict.REUSED: "reuse",
    Verdict.REVOKED: "revoked",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Who counts what happens: outcomes of refreshes, and why sessions were ended."""

    refresh: Callable[[str], None] = lambda outcome: None
    revocation: Callable[[str], None] = lambda why: None

    def spent(self, verdict: Verdict) -> None:
        """A refresh came to this."""
        self.refresh(_OUTCOMES[verdict])
        if verdict is Verdict.REUSED:
            self.revocation("reuse")
