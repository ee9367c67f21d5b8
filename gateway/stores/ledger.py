"""The sessions of one process: the records of the memory store, and what is told of them.

Times are epoch milliseconds. The Lua scripts (`session.lua`) are its twin.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil, floor

from gateway.stores.base import Kind, Revocation, RevocationSink
from gateway.stores.expiring import Expiring
from gateway.stores.session import (
    KnownSession,
    Policy,
    Presented,
    SessionKey,
    SessionRecord,
    Verdict,
    judge,
)

# How long the user's tokens live that were never seen here, nobody can tell: a year, at most.
YEAR = 366 * 86_400_000
MAX_ACCESS = 8  # access tokens that name no session, remembered with one


@dataclass(slots=True)
class Session:
    record: SessionRecord
    user: str
    began: int  # epoch milliseconds
    access: list[tuple[str, int]] = field(default_factory=list)  # id, expiry in epoch seconds
    lease: int = 0  # its end, epoch milliseconds
    owner: str = ""


class Ledger:
    """What is known of sessions and users, and who is told of their ends."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.sink: RevocationSink | None = None
        self._sessions: Expiring[tuple[str, str], Session] = Expiring(now=self.now)
        # Half a second more where a login was dated behind it.
        self._not_before: Expiring[tuple[str, str], float] = Expiring(now=self.now)
        self._life: Expiring[None, int] = Expiring(now=self.now)  # of access tokens: the longest

    def __len__(self) -> int:
        return len(self._sessions)

    def now(self) -> int:
        return floor(self._wall() * 1000)

    def find(self, key: SessionKey) -> Session | None:
        return self._sessions.get((key.issuer, key.id))

    def not_before(self, issuer: str, user: str) -> int:
        return floor(self._not_before.get((issuer, user)) or 0)

    def opened(self, key: SessionKey, at: int) -> int:
        """The user's not-before, behind which a login at `at` (ms) is dated."""
        dead, place = self.not_before(key.issuer, key.user), (key.issuer, key.user)
        if dead >= at // 1000:  # the next end of all must reach this login
            self._not_before.put(place, dead + 0.5, until=self._not_before.ends(place))
        return dead

    def is_dead(self, key: SessionKey, presented: Presented) -> bool:
        """Whether all of the user's tokens of that age have been ended."""
        dead = self.not_before(key.issuer, key.user)
        return dead > 0 and (presented.issued_at is None or presented.issued_at <= dead)

    def sessions(self, issuer: str, user: str) -> Iterator[list[KnownSession]]:
        """The user's sessions that stand, in portions."""
        for some in self._sessions.portions():
            yield [
                KnownSession(
                    id_,
                    session.began / 1000,
                    session.record.rotated_at / 1000 if session.record.generation else None,
                    self._sessions.ends((of, id_)) / 1000,
                )
                for (of, id_), session in some
                if of == issuer and session.user == user and self._stands(issuer, session)
            ]

    def _stands(self, issuer: str, session: Session) -> bool:
        record, stored = session.record, self._not_before.get((issuer, session.user)) or 0.0
        if self.is_over(record):
            return False
        # In its very second a login is younger than the end of all where that was written down.
        dead = floor(stored) - (2 if stored % 1 else 0)
        return not stored or record.rotated_at // 1000 > dead

    def is_over(self, record: SessionRecord) -> bool:
        ends_at = record.ends_at
        return record.is_revoked or (ends_at is not None and self.now() >= ends_at)

    def judge(
        self, session: Session | None, key: SessionKey, presented: Presented, policy: Policy
    ) -> Verdict:
        return judge(
            session.record if session else None,
            presented,
            policy,
            not_before=self.not_before(key.issuer, key.user),
            now=self.now(),
        )

    def adopt(self, key: SessionKey, presented: Presented, policy: Policy) -> Session:
        record = SessionRecord(presented.generation, self.now(), presented.ends_at)
        session = Session(record, key.user, record.rotated_at)
        self.remain(key, session, max(presented.life, self.renewed(record, policy)))
        return session

    def renewed(self, record: SessionRecord, policy: Policy) -> int:
        if record.ends_at is None:
            return policy.record_life
        return min(policy.record_life, record.ends_at - self.now())

    def remain(self, key: SessionKey, session: Session, least: int) -> None:
        place = (key.issuer, key.id)  # a record's life is never made shorter
        until = max(self.now() + max(least, 1), self._sessions.ends(place))
        self._sessions.put(place, session, until=until)

    def revoke(
        self, key: SessionKey, session: Session, presented: Presented, policy: Policy
    ) -> None:
        if policy.is_single:  # the token that was presented is an access token
            self.see_access_life(presented.life)
        longest = self.access_life(policy)
        session.record = session.record._replace(is_revoked=True)
        session.lease, session.owner = 0, ""
        least = max(self.renewed(session.record, policy), presented.life, longest)
        self.remain(key, session, least)
        until = (self.now() + longest) / 1000
        self.tell(Revocation(Kind.SESSION, key.issuer, key.id, until))
        for access in self._living(session.access):
            self.end_access(key.issuer, access, policy)
        session.access = []

    def end_user(self, issuer: str, user: str, policy: Policy) -> None:
        now, longest = self.now(), self.access_life(policy)
        stored = self._not_before.get((issuer, user)) or 0
        since = max(floor(now / 1000), ceil(stored))  # up, for a login that was dated behind it
        kept_for = max(policy.record_life, longest, YEAR)
        self._not_before.put((issuer, user), since, until=now + kept_for)
        self.tell(Revocation(Kind.USER, issuer, user, (now + longest) / 1000, float(since)))

    def end_access(self, issuer: str, access: tuple[str, int], policy: Policy) -> None:
        token, expiry = access
        self.see_access_life(expiry * 1000 - self.now())
        until = max(expiry, (self.now() + self.access_life(policy)) / 1000)
        self.tell(Revocation(Kind.SESSION, issuer, token, until))

    def remember_access(self, session: Session, access: tuple[str, int], policy: Policy) -> None:
        self.see_access_life(access[1] * 1000 - self.now())
        session.access = self._living([*session.access, access])[-MAX_ACCESS:]

    def _living(self, access: list[tuple[str, int]]) -> list[tuple[str, int]]:
        now = self.now()
        return [(token, expiry) for token, expiry in access if expiry * 1000 > now]

    def access_life(self, policy: Policy) -> int:
        return max(policy.access_life, self._life.get(None) or 0)

    def see_access_life(self, seen: int) -> None:
        """A life is kept for as long as tokens with it live, also where the settings change."""
        known = self._life.get(None) or 0
        if seen > known or (seen > 0 and self._life.ends(None) < self.now() + seen):
            longest = max(seen, known)
            self._life.put(None, longest, until=self.now() + 2 * longest)

    def tell(self, revocation: Revocation) -> None:
        if self.sink is not None:
            self.sink.apply([revocation], lag=0.0)
