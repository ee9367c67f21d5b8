"""On Redis: the tokens that only an upstream can spend, one at a time, and what came of them."""

from secrets import token_hex
from typing import Any

from gateway.errors import StoreUnavailable
from gateway.stores.caller import AnswerLost, Caller
from gateway.stores.deeds import Deed, Deeds, is_reused
from gateway.stores.outbox import Outbox
from gateway.stores.scripts import CLAIM, COMPLETE, KEEP, RELEASE
from gateway.stores.session import Claim, Policy, Presented, SessionKey, Verdict, resolved
from gateway.stores.undoing import Undoing


class RedisClaims:
    """That part of a `Store`."""

    _deeds: Deeds
    _caller: Caller
    _outbox: Outbox
    _undoing: Undoing

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
            word, generation, kept = await self._called(deed, in_time=True)
        except AnswerLost as error:
            self._undoing.put(deed.keys[3], self._release(key, owner, error.deadline))
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
        kept_for: int,
    ) -> bool:
        key = claim.key
        is_renewed = int(successor is not None)
        words = (claim.owner, answer, is_renewed, life, *(access or ("", 0)), kept_for)
        presented = Presented(claim.generation, True, claim.issued_at, life)
        deed = self._deeds.of(COMPLETE, key, presented, policy, *words)
        kept = self._deeds.key("a", key.issuer, key.user, claim.token_id)
        mapped = self._deeds.key("t", key.issuer, key.user, successor or claim.token_id)
        deed = deed._replace(keys=(*deed.keys, kept, mapped))
        try:
            is_good: int = await self._caller.run(deed)
        except StoreUnavailable:
            self._outbox.put(deed)  # it is done at the upstream, whatever is known of it here
            raise
        return is_good == 1

    async def keep_no_longer(self, claim: Claim, *, life: int) -> None:
        key = claim.key
        place = self._deeds.key("a", key.issuer, key.user, claim.token_id)
        await self._caller.run(Deed(KEEP, (place,), (life,)))

    async def release(self, claim: Claim) -> None:
        await self._caller.run(self._release(claim.key, claim.owner))

    def _release(self, key: SessionKey, owner: str, deadline: int = 0) -> Deed:
        place = self._deeds.session_key(key)
        return Deed(RELEASE, (place,), (owner, deadline))

    async def _called(self, deed: Deed, *, in_time: bool = False) -> Any:
        """The answer to a call about a session, of which nothing is to be undone any more."""
        await self._undoing.settle(deed.keys[3])
        return await (self._caller.run_in_time(deed) if in_time else self._caller.run(deed))
