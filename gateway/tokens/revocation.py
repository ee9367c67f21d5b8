"""What is revoked, as this process knows it: asked on every request, without a round trip.

Rules
- The store's log is followed, never asked; what a view does not know yet is not revoked.
- An entry stays until no token that it concerns is alive, judged by the clock that judges tokens.
- A sweep holds the loop for a few milliseconds at most, however many entries there are.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal

from gateway.errors import AuthenticationFailed, Flaw, StoreUnavailable
from gateway.identity import Identity
from gateway.stores.base import Revocation
from gateway.tokens.revoked import CHUNK, Revoked

Sleep = Callable[[float], Awaitable[None]]

SWEEP_INTERVAL = 5.0
SWEEP_PAUSE = 0.02  # between the parts of a sweep, for the requests
SWEPT_AT_ONCE = 4 * CHUNK  # between one and two milliseconds
FIRST_LOOK = 0.01  # seconds between two looks for a view that is whole


class RevocationView:
    """The local view of revocations, that a store tells (`RevocationSink`)."""

    __slots__ = (
        "_ages",
        "_confirmed",
        "_denies_old",
        "_issuers",
        "_max_staleness",
        "_monotonic",
        "_on_lag",
        "_wall",
    )

    def __init__(
        self,
        *,
        max_staleness: float,
        on_outage: Literal["deny", "allow"],
        is_local: bool,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        on_lag: Callable[[float], None] | None = None,
    ) -> None:
        self._ages = not is_local  # a store in this very process has told all there is
        self.bear(max_staleness=max_staleness, on_outage=on_outage)
        self._monotonic = monotonic
        self._wall = wall
        self._on_lag = on_lag
        self._confirmed = -math.inf
        self._issuers: dict[str, Revoked] = {}

    def bear(self, *, max_staleness: float, on_outage: Literal["deny", "allow"]) -> None:
        """From now on judges its age so; what is known stays known."""
        self._max_staleness = max_staleness
        self._denies_old = on_outage == "deny" and self._ages

    def check(self, identity: Identity) -> None:
        """Returns for a token that stands, as far as is known; else raises.

        What is known to be revoked is so through an outage too: 401 goes before 503.
        """
        known = self._issuers.get(identity.issuer)
        if known is not None and known.has_revoked(identity, self._wall):
            raise AuthenticationFailed(Flaw.REVOKED, issuer=identity.issuer)
        if self._denies_old and self._monotonic() - self._confirmed > self._max_staleness:
            raise StoreUnavailable(issuer=identity.issuer)

    def is_revoked(self, identity: Identity) -> bool:
        """What is known, however old that is."""
        known = self._issuers.get(identity.issuer)
        return known is not None and known.has_revoked(identity, self._wall)

    def has_ended(self, identity: Identity) -> bool:
        """Whether the bearer's session is known to be over.

        A refresh that leaves a sliding token behind ends no session.
        """
        if identity.generation is not None:
            identity = replace(identity, generation=None)
        return self.is_revoked(identity)

    def apply(self, revocations: Sequence[Revocation], *, lag: float | None) -> None:
        now = self._wall()
        for revocation in revocations:
            if now < revocation.until:
                known = self._issuers.get(revocation.issuer)
                if known is None:
                    known = self._issuers[revocation.issuer] = Revoked()
                known.add(revocation, now)
        if lag is not None and self._on_lag is not None:
            self._on_lag(lag)

    def confirm(self) -> None:
        self._confirmed = self._monotonic()

    async def wait_until_whole(self, patience: float, *, sleep: Sleep = asyncio.sleep) -> bool:
        """Waits for the first reading of the log, `patience` seconds at most; whether it came."""
        end = self._monotonic() + patience
        while not self.is_whole and self._monotonic() < end:
            await sleep(FIRST_LOOK)
        return self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether the log has been read to its end once."""
        return not self._ages or self._confirmed > -math.inf

    @property
    def staleness(self) -> float:
        """Seconds since the view was known to be complete, infinite before."""
        return self._monotonic() - self._confirmed if self._ages else 0.0

    def unready_because(self, *, store_is_up: bool) -> str | None:
        """Why no request should be sent here now, None where it should."""
        if not self.is_whole:
            # `allow` does without what can't be read, not without what is being read.
            is_waited_for = store_is_up or self._denies_old
            return "revocations are not loaded yet" if is_waited_for else None
        staleness = self.staleness
        is_too_old = self._denies_old and staleness > self._max_staleness
        return f"revocations are {staleness:.0f} s old" if is_too_old else None

    def sweep(self) -> bool:
        """Drops a bounded number of entries that are over; whether more may be due."""
        now, left = self._wall(), SWEPT_AT_ONCE
        for known in self._issuers.values():
            while dropped := known.drop(now):
                left -= dropped
                if left <= 0:
                    return True
        return False

    async def run(self, *, sleep: Sleep = asyncio.sleep) -> None:
        """Sweeps until cancelled."""
        while True:
            await sleep(SWEEP_PAUSE if self.sweep() else SWEEP_INTERVAL)

    def __len__(self) -> int:
        return sum(len(known) for known in self._issuers.values())

    def __repr__(self) -> str:
        return f"<RevocationView {len(self)} entries, {self.staleness:.1f} s old>"
