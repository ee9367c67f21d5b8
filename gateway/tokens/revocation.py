"""What is revoked, as this process knows it: asked on every request, without a round trip.

Rules
- The store's log is followed, never asked; what a view does not know yet is not revoked.
- An entry stays until no token that it concerns is alive, judged by the clock that judges tokens.
- A sweep holds the loop for a few milliseconds at most, however many entries there are.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from gateway.errors import AuthenticationFailed, Flaw, StoreUnavailable
from gateway.identity import Identity
from gateway.stores.base import Kind, Revocation

Sleep = Callable[[float], Awaitable[None]]

SWEEP_INTERVAL = 5.0
SWEEP_PAUSE = 0.02  # between the parts of a sweep, for the requests
CHUNK = 1024  # ids
SWEPT_AT_ONCE = 4 * CHUNK  # between one and two milliseconds
BUCKET = 5.0  # seconds
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
        self._max_staleness = max_staleness
        self._ages = not is_local  # a store in this very process has told all there is
        self._denies_old = on_outage == "deny" and self._ages
        self._monotonic = monotonic
        self._wall = wall
        self._on_lag = on_lag
        self._confirmed = -math.inf
        self._issuers: dict[str, _Known] = {}

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

    def apply(self, revocations: Sequence[Revocation], *, lag: float | None) -> None:
        now = self._wall()
        for revocation in revocations:
            if now < revocation.until:
                known = self._issuers.get(revocation.issuer)
                if known is None:
                    known = self._issuers[revocation.issuer] = _Known()
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


class _NotBefore(NamedTuple):
    until: float
    since: float


class _Steps(NamedTuple):
    """From each `since` on, its generation is the oldest that is good; both ascend."""

    until: float
    steps: tuple[tuple[float, int], ...]


class _Known:
    """What is revoked of one issuer."""

    __slots__ = ("_dues", "_generations", "_sessions", "_users")

    def __init__(self) -> None:
        self._sessions: dict[str | None, float] = {}
        self._users: dict[str, _NotBefore] = {}
        self._generations: dict[str | None, _Steps] = {}
        self._dues = _Dues()

    def has_revoked(self, identity: Identity, wall: Callable[[], float]) -> bool:
        # The clock is asked only where something was found.
        until = self._sessions.get(identity.session_id)
        if until is not None and wall() < until:
            return True
        user = self._users.get(identity.user_id)
        if (
            user is not None
            and (identity.issued_at is None or identity.issued_at <= user.since)
            and wall() < user.until
        ):
            return True
        if identity.generation is None:
            return False
        found = self._generations.get(identity.session_id)
        if found is None:
            return False
        now, generation = wall(), identity.generation
        return now < found.until and any(
            generation < least and now >= since for since, least in found.steps
        )

    def add(self, revocation: Revocation, now: float) -> None:
        kind, _, id_, until, since, generation = revocation
        filed: float
        if kind is Kind.SESSION:
            filed = self._sessions.get(id_, 0.0)
            if until > filed:
                self._sessions[id_] = until
        elif kind is Kind.USER:
            user = self._users.get(id_, _NotBefore(0.0, 0.0))
            filed = user.until
            self._users[id_] = _NotBefore(max(filed, until), max(user.since, since))
        else:
            found = self._generations.get(id_, _Steps(0.0, ()))
            filed = found.until
            steps = _ascending((*found.steps, (since, generation)), now)
            self._generations[id_] = _Steps(max(filed, until), steps)
        if until > filed:
            self._dues.file(id_, until)

    def drop(self, now: float) -> int:
        """Drops what is over of one chunk of ids; how many there were."""
        due = self._dues.take(now)
        sessions, users, generations = self._sessions, self._users, self._generations
        for id_ in due:
            # Filed at an earlier time, it may stay until a later one; it is filed there too.
            if sessions.get(id_, math.inf) <= now:
                del sessions[id_]
            if id_ in users and users[id_].until <= now:
                del users[id_]
            if id_ in generations and generations[id_].until <= now:
                del generations[id_]
        if due and not len(self):
            # A dict keeps its room for what was deleted.
            sessions.clear()
            users.clear()
            generations.clear()
        return len(due)

    def __len__(self) -> int:
        return len(self._sessions) + len(self._users) + len(self._generations)


class _Dues:
    """Which ids to look at when, in buckets of some seconds."""

    __slots__ = ("_buckets", "_order")

    def __init__(self) -> None:
        # A bucket is its full chunks, and behind them the one that is being filled. Full ones are
        # tuples: the garbage collector does not go through tuples of strings, but through lists.
        self._buckets: dict[int, tuple[list[tuple[str, ...]], list[str]]] = {}
        self._order: list[int] = []  # a heap of the buckets' numbers

    def file(self, id_: str, until: float) -> None:
        if until == math.inf:
            return
        number = int(until // BUCKET) + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = ([], [])
            heappush(self._order, number)
        full, filling = bucket
        if len(filling) == CHUNK:
            full.append(tuple(filling))
            filling.clear()
        filling.append(id_)

    def take(self, now: float) -> Sequence[str]:
        """A chunk of the oldest bucket that is over, empty where none is."""
        if not self._order or self._order[0] * BUCKET > now:
            return ()
        full, filling = self._buckets[self._order[0]]
        if full:
            return full.pop()
        del self._buckets[heappop(self._order)]
        return filling


def _ascending(steps: Iterable[tuple[float, int]], now: float) -> tuple[tuple[float, int], ...]:
    """Without the steps that another makes needless.

    A newer generation's step that is still to come does not lift an older one's.
    """
    kept: list[tuple[float, int]] = []
    for since, generation in sorted(steps, key=lambda step: (step[0], -step[1])):
        if not kept or generation > kept[-1][1]:
            if since <= now:
                kept.clear()
            kept.append((since, generation))
    return tuple(kept)
