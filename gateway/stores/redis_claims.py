"""On Redis: the tokens that only an upstream can spend, one at a time, and what came of them."""

from secrets import token_hex

from gateway.stores.caller import AnswerLost, Caller
from gateway.stores.deeds import Deed, Deeds, is_reused
from gateway.stores.outbox import Outbox
from gateway.stores.scripts import CLAIM, COMPLETE, RELEASE
from gateway.stores.session import Claim, Policy, Presented, SessionKey, Verdict, resolved


class RedisClaims:
    """That part of a `Store`."""

    _deeds: Deeds
    _caller: Caller
    _outbox: Outbox

    async def known(self, issuer: str, user: str, token_id: str) -> tuple[str, int] | None:
        answer = await self._caller.get(self._deeds.key("t", issuer, user, token_id))
        if answer is None:
            return None
        generation, _, session_id = answer.decode().partition(" ")
        return session_id, int(generation)

    async def claim(
        self, key: SessionKey, token_id: str, presented: Presented, policy: Policy, *, lease: int
    ) -> Claim:
        # Two steps are as good as one: what a token belongs to never changes.
        known = await self.known(key.issuer, key.user, token_id)
        key, presented = resolved(key, presented, known)
        owner = token_hex(8)
        deed = self._deeds.of(CLAIM, key, presented, policy, lease, owner)
        deed = deed._replace(
            keys=(*deed.keys, self._deeds.key("a", key.issuer, key.user, token_id)),
            must_last=is_reused,
        )
        try:
            word, generation, kept = await self._caller.run_in_time(deed)
        except AnswerLost:
            self._outbox.put(self._release(key, owner))
            raise
        verdict = Verdict(word.decode())
        claim = Claim(verdict, key, token_id, generation, issued_at=presented.issued_at)
        if verdict is Verdict.REUSED:
            self._outbox.remember(self._deeds.end_again(key, presented, policy))
        if verdict is Verdict.REPLAYED:
            return claim._replace(answer=kept)
        return claim._replace(owner=owner if verdict is Verdict.ROTATED else "")

    async def complete(
        self,
        claim: Claim,
        policy: Policy,
        *,
        answer: bytes,
        successor: str | None,
        access: tuple[str, int] | None,
        life: int,
    ) -> bool:
        key = claim.key
        words = (claim.owner, answer, int(successor is not None), life, *(access or ("", 0)))
        presented = Presented(claim.generation, True, claim.issued_at, life)
        deed = self._deeds.of(COMPLETE, key, presented, policy, *words)
        kept = self._deeds.key("a", key.issuer, key.user, claim.token_id)
        mapped = self._deeds.key("t", key.issuer, key.user, successor or claim.token_id)
        is_good: int = await self._caller.run(deed._replace(keys=(*deed.keys, kept, mapped)))
        return is_good == 1

    async def keep_answer(self, claim: Claim, *, life: int) -> None:
        await self._caller.keep(
            self._deeds.key("a", claim.key.issuer, claim.key.user, claim.token_id), life
        )

    async def release(self, claim: Claim) -> None:
        await self._caller.run(self._release(claim.key, claim.owner))

    def _release(self, key: SessionKey, owner: str) -> Deed:
        return Deed(RELEASE, (self._deeds.key("s", key.issuer, key.user, key.id),), (owner,))
