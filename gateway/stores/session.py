"""What is said of sessions, and the rule by which they are judged.

One login is one *session*: the family of refresh tokens that follow from it. A token is the
`generation` that its session had when it was issued. `judge` is the rule that every store obeys.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

MOST_LISTED = 1000  # sessions of one user


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
    access_life: int  # of an access token, its leeway included, and what clocks may be apart
    rotates: bool = True
    detects_reuse: bool = True
    # The token that refreshes is the access token too: of a rotation the log tells, so that the
    # old token ends everywhere when its grace does.
    is_single: bool = False


@dataclass(frozen=True, slots=True)
class Presented:
    """What a token says of itself; `life` in milliseconds, as for `Policy.access_life`."""

    generation: int
    is_managed: bool  # it carries a `sid`: without a record its session is over
    issued_at: int | None  # epoch seconds; None where the token does not tell
    life: int  # how long it may still be presented
    # Of a session that begins with this token: its absolute end in epoch milliseconds.
    ends_at: int | None = None


# A session that is named by its id alone: no token of it is here.
UNTOLD = Presented(0, is_managed=True, issued_at=None, life=0)


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


class Claim(NamedTuple):
    """What a store says of a refresh token that only the upstream can spend.

    ROTATED: spend it there, and `complete` or `release` this claim. CURRENT: somebody does so
    just now, so ask once more in a moment. REPLAYED: `answer` is what came of it.
    """

    verdict: Verdict
    key: SessionKey  # the session that the token belongs to
    token_id: str
    generation: int = 0
    owner: str = ""  # whose lease it is
    issued_at: int | None = None  # the token, as it was presented
    answer: bytes | None = None


class SessionRecord(NamedTuple):
    """A session's state, as `judge` sees it. Epoch milliseconds."""

    generation: int
    rotated_at: int
    ends_at: int | None = None
    is_revoked: bool = False


class KnownSession(NamedTuple):
    """A session that stands, for who looks after it. Epoch seconds."""

    id: str
    began: float  # since when the store knows it: the login, or the first refresh
    refreshed: float | None  # the last rotation; None where there was none
    kept_until: float  # without another refresh


class Listing(NamedTuple):
    """A user's sessions, the newest first; not all of them where there was no time for it."""

    sessions: tuple[KnownSession, ...]
    is_complete: bool


def listing(found: Iterable[KnownSession], *, is_complete: bool) -> Listing:
    """The first of them."""
    newest = sorted(found, key=lambda one: (-one.began, one.id))
    return Listing(tuple(newest[:MOST_LISTED]), is_complete and len(newest) <= MOST_LISTED)


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
        if presented.is_managed or (presented.ends_at is not None and now >= presented.ends_at):
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


def resolved(
    key: SessionKey, presented: Presented, known: tuple[str, int] | None
) -> tuple[SessionKey, Presented]:
    """The session and the generation of a token of which only the store may know them."""
    if known is None:
        return key, presented
    session_id, generation = known
    return (
        SessionKey(key.issuer, key.user, session_id),
        replace(presented, generation=generation, is_managed=True),
    )


def standing(verdict: Verdict) -> Verdict:
    """Whether the token stands, whatever `rotate` would have done with it."""
    return verdict if verdict in (Verdict.REVOKED, Verdict.REUSED) else Verdict.CURRENT
