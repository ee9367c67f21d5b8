"""What a store does: the sessions' state, the log of revocations, and counters.

One login is one *session*: the family of refresh tokens that follow from it. A token is the
`generation` that its session had when it was issued. `judge` is the rule that every store obeys.

Rules
- Each method is atomic, and decided by the store's own clock.
- Whatever a store can't do now raises StoreUnavailable, within its timeout; none waits longer.
- A revocation that was acknowledged has been told to the sink of every process, or will be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol


class Verdict(Enum):
    """What a store says of a token that was presented."""

    CURRENT = "current"  # it stands: nothing was to be written, or it was ended now
    ROTATED = "rotated"  # it was the newest; its successor is one generation on
    REPLAYED = "replayed"  # it was rotated a moment ago: the same successor once more
    REUSED = "reused"  # it was spent long before: the session has been revoked
    REVOKED = "revoked"  # its session is over, or not known any more


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Which session; `user` is empty where the tokens name none."""

    issuer: str
    user: str
    id: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How an issuer's sessions live; all times in milliseconds."""

    grace: int  # how long the parent of the newest token gets the same successor
    record_life: int  # of a record since the last rotation: the life of the token that refreshes
    access_life: int  # of an access token, its leeway included
    rotates: bool = True
    detects_reuse: bool = True
    # The token that refreshes is the access token too: of a rotation the log tells, so that the
    # old token ends everywhere when its grace does.
    is_single: bool = False


@dataclass(frozen=True, slots=True)
class Presented:
    """What a token says of itself; `life` in milliseconds, leeway included."""

    generation: int
    is_managed: bool  # it carries a `sid`: without a record its session is over
    issued_at: int | None  # epoch seconds; None where the token does not tell
    life: int  # how long it may still be presented
    # Of a session that begins with this token: its absolute end in epoch milliseconds.
    ends_at: int | None = None


class Opened(NamedTuple):
    """A session that was recorded at `at` (epoch milliseconds)."""

    at: int
    not_before: int  # the user's, epoch seconds, 0 for none: what is issued must be later


class Rotation(NamedTuple):
    """`generation` and `at` are those of the successor, `ends_at` the session's absolute end."""

    verdict: Verdict
    generation: int = 0
    at: int = 0
    ends_at: int | None = None


class Kind(Enum):
    """What a revocation concerns."""

    SESSION = "s"  # all tokens of the session `id`
    USER = "u"  # all tokens of the user `id` that were issued at or before `since`
    GENERATION = "g"  # from `since` on, tokens of the session `id` older than `generation`


class Revocation(NamedTuple):
    """One entry of the log. Epoch seconds; after `until` no token that it concerns is alive."""

    kind: Kind
    issuer: str
    id: str
    until: float
    since: float = 0.0
    generation: int = 0


class RevocationSink(Protocol):
    """Who is told of revocations: the local view of one process. Never waits."""

    def apply(self, revocations: Sequence[Revocation], *, lag: float | None) -> None:
        """Takes entries, in any order and more than once.

        `lag` is seconds since the newest was written, None while the log is read anew.
        """
        ...

    def confirm(self) -> None:
        """The log has been read to its end, just now: from the first call on the view is whole."""
        ...


class SessionRecord(NamedTuple):
    """A session's state, as `judge` sees it. Epoch milliseconds."""

    generation: int
    rotated_at: int
    ends_at: int | None = None
    is_revoked: bool = False


def judge(
    record: SessionRecord | None,
    presented: Presented,
    policy: Policy,
    *,
    not_before: int,
    now: int,
) -> Verdict:
    """The one rule of rotation and reuse (RFC 9700 §4.14.2); `now` in epoch milliseconds.

    `not_before` is the user's, in epoch seconds, 0 for none. The Lua scripts are its twin.
    """
    if not_before and (presented.issued_at is None or presented.issued_at <= not_before):
        return Verdict.REVOKED
    if record is None:
        if presented.is_managed:
            return Verdict.REVOKED  # expired or lost: never resurrected
        return Verdict.ROTATED if policy.rotates else Verdict.CURRENT
    if record.is_revoked or (record.ends_at is not None and now >= record.ends_at):
        return Verdict.REVOKED
    if not policy.rotates:
        return Verdict.CURRENT
    behind = record.generation - presented.generation
    if behind <= 0:  # below 0: signed, so an acknowledged write was lost in a failover
        return Verdict.ROTATED
    if behind == 1 and now - record.rotated_at <= policy.grace:
        return Verdict.REPLAYED
    return Verdict.REUSED if policy.detects_reuse else Verdict.ROTATED


class Store(Protocol):
    """The state that all workers share."""

    async def start(self, sink: RevocationSink) -> None:
        """Begins to follow the log for `sink`; returns without waiting for the store."""
        ...

    async def stop(self) -> None:
        """Releases everything."""
        ...

    @property
    def is_up(self) -> bool:
        """Whether the store answered when it was last asked."""
        ...

    async def open_session(
        self, key: SessionKey, policy: Policy, *, presented: Presented, access_life: int
    ) -> Opened:
        """Records a session at generation 0; one that is recorded already stays as it is.

        `access_life` is how long, in milliseconds, its first access token is good. Where that is
        longer than the policy says, later revocations are kept that long.
        """
        ...

    async def rotate(self, key: SessionKey, presented: Presented, policy: Policy) -> Rotation:
        """Spends a token: see `judge`. REUSED has ended the session, and told the log."""
        ...

    async def inspect(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        """Whether the token stands (CURRENT), by `judge`; writes nothing, ends nothing."""
        ...

    async def end_session(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        """Ends the session: CURRENT where that happened now.

        REVOKED where it was over before; REUSED for a token that was spent long before: then the
        session is over too. A session without a record gets one, so that it stays over.
        """
        ...

    async def end_user(self, issuer: str, user: str, policy: Policy) -> None:
        """Ends all that was issued to the user so far."""
        ...

    async def take(self, bucket: str, *, rate: float, burst: int) -> float:
        """Takes a token from a bucket that refills by `rate` a second and holds `burst`.

        0 where there was one, else the seconds until there is.
        """
        ...

    async def failures(self, name: str) -> tuple[int, float]:
        """How many failures are counted under this name, and for how many seconds it is barred."""
        ...

    async def fail(self, name: str, *, limit: int, window: float, longest: float) -> float:
        """Counts a failure; from the `limit`-th within `window` seconds on it bars the name.

        Each further one doubles the time, up to `longest` seconds; returns the seconds it is
        barred now, 0 for not.
        """
        ...

    async def forgive(self, name: str) -> None:
        """Forgets the failures under this name."""
        ...
