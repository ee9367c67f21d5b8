"""The life cycle where the gateway holds no signing key: the upstream refreshes, under a claim.

Rules
- A token is spent once: who holds the claim asks the upstream, the others wait for its answer.
- The answer is kept for the grace, encrypted by a key that only who holds the token can derive.
- What the upstream refuses gives the claim back; what it has done is never undone by an outage.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import AuthenticationFailed, Flaw, StoreUnavailable
from gateway.stores.base import Claim, Presented, SessionKey, Verdict
from gateway.stores.session import resolved
from gateway.tokens.rules import clean_name
from gateway.tokens.sessions import UPSTREAM_SKEW, Approve, Sessions
from gateway.tokens.verifier import Examined, Use

POLL = 0.05  # seconds between two looks at a claim that somebody else holds
_NONCE = 12

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """What the upstream said: its whole answer, and the tokens in it, None where it refused."""

    answer: bytes = field(repr=False)
    tokens: Mapping[str, str] | None = field(repr=False)


class BorrowedSessions(Sessions):
    """The sessions of an issuer whose tokens the gateway only verifies.

    `lease` is how long, in seconds, an upstream may take to refresh a token.
    """

    def __init__(self, *args: Any, lease: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lease = lease
        # Whether the upstream rotates shows in its answers; its access tokens name no generation.
        policy = replace(self.terms.policy, rotates=True, is_single=False)
        self.terms = replace(self.terms, policy=policy)

    async def begin(self, tokens: Mapping[str, str]) -> Mapping[str, str]:
        """Records the session of a login; its tokens stay as they are."""
        name = "token" if self.config.is_single else "refresh"
        if name not in tokens:
            return tokens
        taken = await self.examine(tokens[name], self.terms.use, skew=UPSTREAM_SKEW)
        access = await self._access_of(tokens) or taken
        try:
            await self._store.open_session(
                self.key_of(taken),
                self.terms.policy,
                presented=self._presented(taken, began=self._wall()),
                access_life=self._life(access.identity),
                access=self._named(access),
            )
        except StoreUnavailable:
            return tokens  # adopted when it is refreshed
        return tokens

    async def refresh_at(
        self,
        token: str,
        *,
        ask: Callable[[], Awaitable[Borrowed]],
        approve: Approve | None = None,
    ) -> bytes:
        """The upstream's answer to the refresh of this token; raises as `refresh` does.

        `ask` has the upstream refresh it, and raises what stands in its way.
        """
        with self._counted_failures():
            taken = await self.examine(token, self.terms.use)
        key, token_id = self.key_of(taken), self._token_id(taken)
        lease = int(self._lease * 1000)
        async with self._patience():
            while True:
                claim = await self._counted(
                    self._store.claim(
                        key, token_id, self._presented(taken), self.terms.policy, lease=lease
                    )
                )
                if claim.verdict is not Verdict.CURRENT:
                    break
                await asyncio.sleep(POLL)
        self._count(claim.verdict)
        if claim.verdict is Verdict.REPLAYED and claim.answer is not None:
            return _opened(claim.answer, token)
        return await self._spend(claim, token, ask, approve)

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
        ask: Callable[[], Awaitable[Borrowed]],
        approve: Approve | None,
    ) -> bytes:
        try:
            said = await ask()
            if said.tokens is None:
                await self._let_go(claim)
                return said.answer
            access = await self._access_of(said.tokens)
            name = "token" if self.config.is_single else "refresh"
            renewed = None
            if name in said.tokens:
                renewed = await self.examine(said.tokens[name], self.terms.use, skew=UPSTREAM_SKEW)
        except BaseException:
            await self._let_go(claim)
            raise
        if approve is not None and access is not None:
            await self._approve(claim, said.tokens["access"], approve)
        named = access or renewed
        try:
            await self._store.complete(
                claim,
                self.terms.policy,
                answer=_sealed(said.answer, token),
                successor=self._token_id(renewed) if renewed is not None else None,
                access=self._named(named) if named is not None else None,
                life=self._life(renewed.identity) if renewed is not None else 0,
            )
        except StoreUnavailable:
            # The upstream has spent the old token: to withhold the new one would end the session.
            _LOG.warning("issuer %r: a refresh could not be recorded", self.issuer.name)
        return said.answer

    async def _approve(self, claim: Claim, access: str, approve: Approve) -> None:
        if await approve(access):
            return
        ended = Presented(claim.generation, is_managed=True, issued_at=None, life=0)
        await self._reported(self._store.end_session(claim.key, ended, self.terms.policy))
        self.tally.revocation("check_user")
        raise AuthenticationFailed(Flaw.NO_ACCOUNT, issuer=self.issuer.name)

    async def _let_go(self, claim: Claim) -> None:
        try:
            await self._store.release(claim)
        except StoreUnavailable:
            return  # its lease runs out

    async def _resolved(self, taken: Examined) -> tuple[SessionKey, Presented]:
        key = self.key_of(taken)
        known = await self._store.known(key.issuer, key.user, self._token_id(taken))
        return resolved(key, self._presented(taken), known)

    async def _access_of(self, tokens: Mapping[str, str]) -> Examined | None:
        if "access" not in tokens or self.config.is_single:
            return None
        return await self.examine(tokens["access"], Use.ACCESS, skew=UPSTREAM_SKEW)

    def _token_id(self, taken: Examined) -> str:
        """The token's own id; the oldest package gives none."""
        found = clean_name(taken.claims.get(self.config.jti_claim))
        if found is not None:
            return found
        claims = repr(sorted(taken.claims.items(), key=lambda item: item[0]))
        return hashlib.sha256(claims.encode()).hexdigest()[:32]

    def _named(self, access: Examined) -> tuple[str, int] | None:
        """What a revocation must name to reach this access token, and until when."""
        identity = access.identity
        if identity.session_id is None or identity.expires_at == float("inf"):
            return None
        return identity.session_id, int(identity.expires_at)

    def _patience(self) -> asyncio.Timeout:
        return asyncio.timeout(self._lease + 1)


def _cipher(token: str) -> AESGCM:
    return AESGCM(hashlib.sha256(b"gateway refresh answer\n" + token.encode()).digest())


def _sealed(answer: bytes, token: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + _cipher(token).encrypt(nonce, answer, None)


def _opened(sealed: bytes, token: str) -> bytes:
    """Raises StoreUnavailable for what was not sealed for this token."""
    try:
        return _cipher(token).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag as error:
        raise StoreUnavailable from error
