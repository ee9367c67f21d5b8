"""The life cycle where the gateway holds no signing key: the upstream refreshes, under a claim.

Rules
- A token is spent once: who holds the claim asks the upstream, the others wait for its answer. In
  one process they share its failure too.
- The answer is kept for the grace, encrypted by a key that only who holds the token can derive.
- What the upstream refuses gives the claim back; what it has done is never undone by an outage.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from gateway.errors import (
    AuthenticationFailed,
    Flaw,
    KeysUnavailable,
    StoreUnavailable,
    UpstreamError,
)
from gateway.stores.base import Claim, Presented, SessionKey, Verdict
from gateway.stores.session import resolved
from gateway.tokens.given import UpstreamsAnswer, named_by
from gateway.tokens.sealing import opened, sealed
from gateway.tokens.sessions import Approve, Sessions
from gateway.tokens.terms import CLOCK_SKEW
from gateway.tokens.verifier import Examined, Use

POLL = 0.05  # seconds between two looks at a claim that somebody else holds

_LOG = logging.getLogger(__name__)


_Answer = TypeVar("_Answer", bound=UpstreamsAnswer)


class BorrowedSessions(Sessions):
    """The sessions of an issuer whose tokens the gateway only verifies.

    `lease` is how long, in seconds, an upstream may take to refresh a token.
    """

    def __init__(self, *args: Any, lease: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lease = lease
        self._under_way: dict[str, asyncio.Task[Any]] = {}  # by the token's text
        # Whether the upstream rotates shows in its answers; its access tokens name no generation.
        policy = replace(self.terms.policy, rotates=True, is_single=False)
        self.terms = replace(self.terms, policy=policy)
        self._grace = max(policy.grace, 0) + 1  # how long an answer is kept, in milliseconds

    async def stop(self, patience: float) -> None:
        # What the upstream spends now must be recorded, whether or not its client still waits.
        if under_way := list(self._under_way.values()):
            _, late = await asyncio.wait(under_way, timeout=max(patience, 0))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def begin(
        self, tokens: Mapping[str, str], *, on_user: Callable[[str], None] = lambda user: None
    ) -> Mapping[str, str]:
        """Records the session of a login; its tokens stay as they are."""
        name = "token" if self.config.is_single else "refresh"
        if name not in tokens:
            return tokens
        taken = await self.examine(tokens[name], self.terms.use, skew=CLOCK_SKEW)
        on_user(taken.identity.user_id)
        access = await self._access_of(tokens) or taken
        try:
            await self._store.open_session(
                self.key_of(taken),
                self.terms.policy,
                presented=self._presented(taken, began=self._wall()),
                access_life=self._life(access.identity),
                access=named_by(access),
            )
        except StoreUnavailable:
            return tokens  # adopted when it is refreshed
        return tokens

    async def refresh_at(
        self,
        token: str,
        *,
        ask: Callable[[], Awaitable[_Answer]],
        read: Callable[[bytes], _Answer],
        approve: Approve | None = None,
    ) -> _Answer:
        """The upstream's answer to the refresh of this token; raises as `refresh` does.

        `ask` has the upstream refresh it, and raises what stands in its way; `read` reads an
        answer that was kept.
        """
        under_way = self._under_way.get(token)
        if under_way is None:
            work = self._refresh(token, ask, read, approve)
            under_way = self._under_way[token] = asyncio.create_task(work)
            under_way.add_done_callback(lambda _: self._under_way.pop(token, None))
        # A client that leaves must not take the others' answer with it, nor what is spent.
        answer: _Answer = await asyncio.shield(under_way)
        return answer

    async def _refresh(
        self,
        token: str,
        ask: Callable[[], Awaitable[_Answer]],
        read: Callable[[bytes], _Answer],
        approve: Approve | None,
    ) -> _Answer:
        with self._counted_failures():
            taken = await self.examine(token, self.terms.use)
        claim = await self._claimed(taken)
        self._count(claim.verdict)
        if claim.verdict is Verdict.REPLAYED and claim.answer is not None:
            answer = read(opened(claim.answer, token))
        else:
            # Until the upstream has approved of the user, the client may have to come again.
            life = self._life(taken.identity)
            kept_for = self._grace if approve is None else life
            answer = await self._spend(claim, token, ask, kept_for=kept_for, life=life)
        if approve is not None:
            await self._approve(claim, answer.tokens, approve)
        return answer

    async def _claimed(self, taken: Examined) -> Claim:
        """The claim on this token, once nobody else holds it."""
        key, token_id = self.key_of(taken), self.token_id(taken)
        presented, lease = self._presented(taken), int(self._lease * 1000)
        try:
            async with asyncio.timeout(self._lease + 1):
                while True:
                    claim = await self._counted(
                        self._store.claim(key, token_id, presented, self.terms.policy, lease=lease)
                    )
                    if claim.verdict is not Verdict.CURRENT:
                        return claim
                    await asyncio.sleep(POLL)
        except TimeoutError as error:  # another gateway holds it, and its upstream is silent
            self.tally.refresh("unavailable")
            raise UpstreamError.timeout() from error

    async def verdict_on(self, taken: Examined) -> Verdict:
        key, presented = await self._resolved(taken)
        return await self._store.inspect(key, presented, self.terms.policy)

    async def end_session_of(self, taken: Examined) -> Verdict:
        key, presented = await self._resolved(taken)
        return await self._store.end_session(key, presented, self.terms.policy)

    async def _spend(
        self,
        claim: Claim,
        token: str,
        ask: Callable[[], Awaitable[_Answer]],
        *,
        kept_for: int,
        life: int,
    ) -> _Answer:
        """Has the upstream spend a token that lives for `life` ms; its answer is kept."""
        try:
            answer = await ask()
            access, renewed = await self._taken(answer.tokens)
        except KeysUnavailable:
            # The old token is spent: the client gets its answer when it comes again.
            access, renewed = await self._taken(answer.tokens, is_trusted=True)
            await self._complete(claim, token, answer, access, renewed, kept_for=life)
            raise
        except BaseException:
            await self._let_go(claim)
            raise
        if access is None and renewed is None:
            await self._let_go(claim)
            return answer
        await self._complete(claim, token, answer, access, renewed, kept_for=kept_for)
        return answer

    async def _complete(
        self,
        claim: Claim,
        token: str,
        answer: UpstreamsAnswer,
        access: Examined | None,
        renewed: Examined | None,
        *,
        kept_for: int,
    ) -> None:
        """Records what came of a claim; raises where the session was ended meanwhile."""
        named = access or renewed
        is_good = True
        try:
            is_good = await self._store.complete(
                claim,
                self.terms.policy,
                answer=sealed(answer.kept(), token),
                successor=self.token_id(renewed) if renewed is not None else None,
                access=named_by(named) if named is not None else None,
                life=self._life(renewed.identity) if renewed is not None else 0,
                kept_for=kept_for,
            )
        except StoreUnavailable:
            # The upstream has spent the old token: to withhold the new one would end the session.
            _LOG.warning("issuer %r: a refresh could not be recorded", self.issuer.name)
        if not is_good:
            raise self._revoked()

    async def _taken(
        self, tokens: Mapping[str, str], *, is_trusted: bool = False
    ) -> tuple[Examined | None, Examined | None]:
        """The access token and the one that refreshes next, where they are in an answer.

        `is_trusted` asks for no signature. Raises UpstreamError for tokens that the issuer's
        settings do not verify, KeysUnavailable.
        """

        async def look_at(name: str, use: Use) -> Examined | None:
            if name not in tokens:
                return None
            if is_trusted:
                token = tokens[name].encode(errors="replace")
                return self.issuer.verifier.read(token, use, skew=CLOCK_SKEW)
            return await self.examine(tokens[name], use, skew=CLOCK_SKEW)

        try:
            if self.config.is_single:
                return None, await look_at("token", self.terms.use)
            return await look_at("access", Use.ACCESS), await look_at("refresh", self.terms.use)
        except AuthenticationFailed as error:
            _LOG.error(
                "issuer %r: a refreshed token is not good by the settings (%s)",
                self.issuer.name,
                error.reason,
            )
            raise UpstreamError.broken("the refreshed token is not one of this issuer") from error

    async def _approve(self, claim: Claim, tokens: Mapping[str, str], approve: Approve) -> None:
        """Asks behind the refresh, since only it gives a fresh token; its answer is kept by now."""
        access = tokens.get("token" if self.config.is_single else "access")
        if access is None or await approve(access):
            with suppress(StoreUnavailable):  # then it is kept for longer
                await self._store.keep_no_longer(claim, life=self._grace)
            return
        # What the session has come to by now is spent with it, whichever token is presented.
        newest = Presented(2**31, is_managed=True, issued_at=None, life=0)
        await self._reported(self._store.end_session(claim.key, newest, self.terms.policy))
        self.tally.revocation("check_user")
        raise AuthenticationFailed(Flaw.NO_ACCOUNT, issuer=self.issuer.name)

    async def _let_go(self, claim: Claim) -> None:
        try:
            await self._store.release(claim)
        except StoreUnavailable:
            return  # its lease runs out

    async def _resolved(self, taken: Examined) -> tuple[SessionKey, Presented]:
        key = self.key_of(taken)
        known = await self._store.known(key.issuer, key.user, self.token_id(taken))
        return resolved(key, self._presented(taken), known)

    async def _access_of(self, tokens: Mapping[str, str]) -> Examined | None:
        if "access" not in tokens or self.config.is_single:
            return None
        return await self.examine(tokens["access"], Use.ACCESS, skew=CLOCK_SKEW)
