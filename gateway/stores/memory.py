"""The store inside one process: for one worker, for development, and for tests.

What it holds ends with the process. Each method is atomic because none of them waits.
"""

import asyncio
from collections.abc import Callable

from gateway.stores.base import Kind, Revocation, RevocationSink
from gateway.stores.counters import Counters
from gateway.stores.expiring import Expiring
from gateway.stores.ledger import Ledger
from gateway.stores.session import (
    MOST_LISTED,
    UNTOLD,
    Claim,
    KnownSession,
    Listing,
    Opened,
    Policy,
    Presented,
    Rotation,
    SessionKey,
    Verdict,
    listing,
    resolved,
    standing,
)


class MemoryStore:
    """A `Store` in dictionaries; `wall` is its clock."""

    is_local = True
    is_up = True

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._ledger = ledger = Ledger(wall=wall)
        self._tokens: Expiring[tuple[str, str], tuple[str, int]] = Expiring(now=ledger.now)
        self._answers: Expiring[tuple[str, str], bytes] = Expiring(now=ledger.now)
        self._counters = Counters(wall=wall)
        self._leases = 0

    def __repr__(self) -> str:
        return f"<MemoryStore sessions={len(self._ledger)}>"

    def tell(self, sink: RevocationSink) -> None:
        """Tells this sink of all revocations from now on, started or not."""
        self._ledger.sink = sink
        sink.confirm()

    async def start(self, sink: RevocationSink) -> None:
        self.tell(sink)

    async def stop(self) -> None:
        self._ledger.sink = None

    async def open_session(
        self,
        key: SessionKey,
        policy: Policy,
        *,
        presented: Presented,
        access_life: int,
        access: tuple[str, int] | None = None,
    ) -> Opened:
        self._ledger.see_access_life(access_life)
        session = self._ledger.find(key) or self._ledger.adopt(key, presented, policy)
        if access is not None and not session.record.is_revoked:
            self._ledger.remember_access(session, access, policy)
        at = session.record.rotated_at
        return Opened(at, self._ledger.opened(key, at))

    async def rotate(self, key: SessionKey, presented: Presented, policy: Policy) -> Rotation:
        session = self._ledger.find(key)
        verdict = self._ledger.judge(session, key, presented, policy)
        if verdict is Verdict.REVOKED:
            return Rotation(verdict)
        if verdict is Verdict.REUSED and session:
            self._ledger.revoke(key, session, presented, policy)
        if verdict in (Verdict.REUSED, Verdict.REPLAYED) and session:
            record = session.record
            return Rotation(verdict, record.generation, record.rotated_at, record.ends_at)
        session, now = session or self._ledger.adopt(key, presented, policy), self._ledger.now()
        record = session.record
        if not policy.is_single:
            self._ledger.see_access_life(policy.access_life)
        if verdict is Verdict.CURRENT:
            if policy.is_single:
                self._ledger.remain(key, session, self._ledger.renewed(record, policy))
            return Rotation(verdict, record.generation, now, record.ends_at)
        successor = max(record.generation, presented.generation) + 1
        session.record = record._replace(generation=successor, rotated_at=now)
        self._ledger.remain(key, session, self._ledger.renewed(record, policy))
        if policy.is_single and policy.detects_reuse:
            overlap = max(policy.grace, 0)
            self._ledger.see_access_life(presented.life)
            until = now + self._ledger.access_life(policy) + overlap
            since = (now + overlap) / 1000
            self._ledger.tell(
                Revocation(Kind.GENERATION, key.issuer, key.id, until / 1000, since, successor)
            )
        return Rotation(verdict, successor, now, record.ends_at)

    async def inspect(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        verdict = self._ledger.judge(self._ledger.find(key), key, presented, policy)
        if verdict is Verdict.REPLAYED and policy.detects_reuse:
            return verdict
        return standing(verdict)

    async def end_session(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        session = self._ledger.find(key)
        verdict = self._ledger.judge(session, key, presented, policy)
        if verdict is Verdict.REVOKED and (session or self._ledger.is_dead(key, presented)):
            return verdict
        self._ledger.revoke(
            key, session or self._ledger.adopt(key, presented, policy), presented, policy
        )
        return standing(verdict)

    async def revoke_session(self, key: SessionKey, policy: Policy) -> bool:
        session = self._ledger.find(key)
        if session is None or session.user != key.user or self._ledger.is_over(session.record):
            return False
        self._ledger.revoke(key, session, UNTOLD, policy)
        return True

    async def sessions(self, issuer: str, user: str, *, patience: float) -> Listing:
        found: list[KnownSession] = []
        clock = asyncio.get_running_loop().time
        end = clock() + patience
        for some in self._ledger.sessions(issuer, user):
            found += some
            if len(found) >= MOST_LISTED or clock() >= end:
                return listing(found, is_complete=False)
            await asyncio.sleep(0)  # requests have their turn
        return listing(found, is_complete=True)

    async def end_user(self, issuer: str, user: str, policy: Policy) -> None:
        self._ledger.end_user(issuer, user, policy)

    async def end_user_eventually(self, issuer: str, user: str, policy: Policy) -> None:
        await self.end_user(issuer, user, policy)

    async def known(self, issuer: str, user: str, token_id: str) -> tuple[str, int] | None:
        return self._tokens.get((issuer, token_id))

    async def claim(
        self, key: SessionKey, token_id: str, presented: Presented, policy: Policy, *, lease: int
    ) -> Claim:
        key, presented = resolved(key, presented, await self.known(key.issuer, "", token_id))
        session = self._ledger.find(key)
        verdict = self._ledger.judge(session, key, presented, policy)
        generation = session.record.generation if session else presented.generation
        claim = Claim(verdict, key, token_id, generation, issued_at=presented.issued_at)
        if verdict is Verdict.REVOKED:
            return claim._replace(generation=0)
        answer = self._answers.get((key.issuer, token_id))
        # However long it is kept: of an older token it is nobody's business any more.
        if answer is not None and generation <= presented.generation + 1:
            return claim._replace(verdict=Verdict.REPLAYED, answer=answer)
        if verdict is Verdict.REUSED and session:
            self._ledger.revoke(key, session, presented, policy)
            return claim
        session, now = session or self._ledger.adopt(key, presented, policy), self._ledger.now()
        if now < session.lease:
            return claim._replace(verdict=Verdict.CURRENT)
        self._leases += 1
        session.lease, session.owner = now + lease, str(self._leases)
        return claim._replace(
            verdict=Verdict.ROTATED,
            generation=max(generation, presented.generation),
            owner=session.owner,
        )

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
        key, now = claim.key, self._ledger.now()
        presented = Presented(claim.generation, True, claim.issued_at, life)
        session = self._ledger.find(key) or self._ledger.adopt(key, presented, policy)
        self._answers.put((key.issuer, claim.token_id), answer, until=now + kept_for)
        await self.release(claim)
        # Ended while the upstream was asked, with all else of the user.
        if self._ledger.is_dead(key, presented) and not session.record.is_revoked:
            self._ledger.revoke(key, session, presented, policy)
        if successor is not None:
            reached = max(session.record.generation, claim.generation + 1)
            session.record = session.record._replace(generation=reached, rotated_at=now)
            self._tokens.put((key.issuer, successor), (key.id, reached), until=now + life)
        self._ledger.remain(key, session, max(self._ledger.renewed(session.record, policy), life))
        if access is not None and session.record.is_revoked:
            self._ledger.end_access(key.issuer, access, policy)
        elif access is not None:
            self._ledger.remember_access(session, access, policy)
        return not session.record.is_revoked

    async def keep_no_longer(self, claim: Claim, *, life: int) -> None:
        place, until = (claim.key.issuer, claim.token_id), self._ledger.now() + life
        answer = self._answers.get(place)
        if answer is not None:
            self._answers.put(place, answer, until=min(until, self._answers.ends(place)))

    async def release(self, claim: Claim) -> None:
        session = self._ledger.find(claim.key)
        if session is not None and session.owner == claim.owner:
            session.lease, session.owner = 0, ""

    async def take(self, bucket: str, *, rate: float, burst: int) -> float:
        return self._counters.take(bucket, rate=rate, burst=burst)

    async def failures(self, name: str) -> tuple[int, float]:
        return self._counters.failures(name)

    async def fail(self, name: str, *, limit: int, window: float, longest: float) -> float:
        return self._counters.fail(name, limit=limit, window=window, longest=longest)

    async def forgive(self, name: str) -> None:
        self._counters.forgive(name)
