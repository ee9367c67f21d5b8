"""What a store does: the sessions' state, the log of revocations, and counters.

Rules
- Each method is atomic, and decided by the store's own clock.
- Whatever a store can't do now raises StoreUnavailable; no command waits longer than its timeout.
- A revocation that was acknowledged has been told to the sink of every process, or will be.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from gateway.stores.session import (
    Claim,
    KnownSession,
    Listing,
    Opened,
    Policy,
    Presented,
    Rotation,
    SessionKey,
    SessionRecord,
    Verdict,
    judge,
)

__all__ = [
    "Claim",
    "Kind",
    "KnownSession",
    "Listing",
    "Opened",
    "Policy",
    "Presented",
    "Revocation",
    "RevocationSink",
    "Rotation",
    "SessionKey",
    "SessionRecord",
    "Store",
    "Verdict",
    "judge",
]


class Kind(Enum):
    """What a revocation concerns."""

    SESSION = "s"  # all tokens of the session `id`
    USER = "u"  # all tokens of the user `id` that were issued at or before `since`
    GENERATION = "g"  # from `since` on, tokens of the session `id` older than `generation`
    # … of newer ones what was told is void: they have not come. It stands for a GENERATION too.
    UNDONE = "b"


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
        """Takes entries, those of one session in their order, and more than once.

        `lag` is seconds since the newest was written, None while the log is read anew.
        """
        ...

    def confirm(self) -> None:
        """The log has been read to its end, just now: from the first call on the view is whole."""
        ...


class Store(Protocol):
    """The state that all workers share."""

    async def start(self, sink: RevocationSink) -> None:
        """Begins to follow the log for `sink`; returns without waiting for the store."""
        ...

    async def stop(self) -> None:
        """Releases everything."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether this process is the only one: then its view of the log is never stale."""
        ...

    @property
    def is_up(self) -> bool:
        """Whether the store answered when it was last asked."""
        ...

    async def open_session(
        self,
        key: SessionKey,
        policy: Policy,
        *,
        presented: Presented,
        access_life: int,
        access: tuple[str, int] | None = None,
    ) -> Opened:
        """Records a session at generation 0; one that is recorded already stays as it is.

        `access_life` is how long, in milliseconds, its first access token is good. Where that is
        longer than the policy says, later revocations are kept that long. `access` is the id and
        the expiry (epoch seconds) of an access token that names no session: it ends with it.
        """
        ...

    async def rotate(self, key: SessionKey, presented: Presented, policy: Policy) -> Rotation:
        """Spends a token: see `judge`. REUSED has ended the session, and told the log."""
        ...

    async def inspect(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        """Whether the token stands (CURRENT), by `judge`; writes nothing, ends nothing.

        REPLAYED: it is spent, though a retry would get the same successor once more.
        """
        ...

    async def end_session(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        """Ends the session: CURRENT where that happened now.

        REVOKED where it was over before; REUSED for a token that was spent long before: then the
        session is over too. A session without a record gets one, so that it stays over.
        """
        ...

    async def revoke_session(self, key: SessionKey, policy: Policy) -> bool:
        """Ends a session of this user by its id alone; whether it stood."""
        ...

    async def sessions(self, issuer: str, user: str, *, patience: float) -> Listing:
        """The user's sessions that stand; looks for them for `patience` seconds at most.

        It goes through all that the store holds: for people, not for requests.
        """
        ...

    async def end_user(self, issuer: str, user: str, policy: Policy) -> None:
        """Ends all that was issued to the user so far."""
        ...

    async def end_user_eventually(self, issuer: str, user: str, policy: Policy) -> None:
        """Ends all that was issued to the user so far, also while the store is away.

        This process obeys at once; the store, and with it all others, as soon as it is back.
        Raises nothing: what has not been written when the process ends is lost.
        """
        ...

    async def known(self, issuer: str, user: str, token_id: str) -> tuple[str, int] | None:
        """The session and the generation of a refresh token that `complete` has recorded."""
        ...

    async def claim(
        self, key: SessionKey, token_id: str, presented: Presented, policy: Policy, *, lease: int
    ) -> Claim:
        """Takes the right to spend a token at the upstream for `lease` milliseconds.

        A token that is not `known` stands for a session of its own: `key.id`, at the generation
        presented. Judged as by `rotate`; REUSED has ended the session.
        """
        ...

    async def complete(
        self,
        claim: Claim,
        policy: Policy,
        *,
        answer: bytes,
        successor: str | None,
        access: tuple[str, int] | None,
        life: int,
        kept_for: int,
    ) -> bool:
        """Records what came of a claim, and keeps `answer` for `kept_for` ms; whether it is good.

        It is not where the session was ended meanwhile: the new tokens have ended with it.

        `successor` is the id of the new refresh token, which lives for `life` milliseconds; None
        where the old one stays. `access` as for `open_session`.
        """
        ...

    async def keep_no_longer(self, claim: Claim, *, life: int) -> None:
        """Keeps the answer of a completed claim for `life` milliseconds from now at most."""
        ...

    async def release(self, claim: Claim) -> None:
        """Gives a claim back that came to nothing."""
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
