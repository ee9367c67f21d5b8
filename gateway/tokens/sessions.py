"""The life cycle of one issuer's tokens: login, refresh with rotation, verify, logout.

Rules (RFC 9700 §4.14.2)
- A session is one login; its tokens carry `sid`, those that refresh also their generation `gen`.
- The store decides and remembers; no token is ever stored. Successors are derived, so racers, a
  retry and a restart get the very same one.
- Tokens from before the gateway came are adopted when they are first refreshed or ended.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from gateway.errors import AuthenticationFailed, Flaw, StoreUnavailable
from gateway.identity import Identity
from gateway.stores.base import Presented, SessionKey, Store, Verdict
from gateway.tokens.issuer import Issuer
from gateway.tokens.issuing import Issuing, Refreshed
from gateway.tokens.jwks import KeysNeeded
from gateway.tokens.revocation import RevocationView
from gateway.tokens.rules import clean_name
from gateway.tokens.tally import Tally
from gateway.tokens.terms import CLOCK_SKEW, Terms, milliseconds
from gateway.tokens.verifier import Examined, Use

_T = TypeVar("_T")

# Asks the upstream, with a fresh access token, whether its user may still have one.
Approve = Callable[[str], Awaitable[bool]]


class Sessions:
    """The sessions of an issuer whose tokens the gateway signs."""

    def __init__(
        self,
        issuer: Issuer,
        store: Store,
        *,
        view: RevocationView,
        wall: Callable[[], float],
        tally: Tally,
        new_session: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.issuer = issuer
        self.config = issuer.config
        self.terms = Terms.of(issuer.config)
        self.tally = tally
        self._store = store
        self._view = view
        self._wall = wall
        self._new_session = new_session
        self._issuing = Issuing(issuer, self.terms)

    async def stop(self, patience: float) -> None:
        """Lets what was begun end, within `patience` seconds."""

    async def begin(
        self, tokens: Mapping[str, str], *, on_user: Callable[[str], None] = lambda user: None
    ) -> Mapping[str, str]:
        """A login's tokens, by their names in its answer, as the client is to get them.

        While the store is away they stay as they are, to be adopted when they are refreshed.
        Raises TokenRefused for a token that this issuer's settings do not verify.
        """
        name = "token" if self.config.is_single else "refresh"
        if name not in tokens:
            return tokens
        taken = await self.examine(tokens[name], self.terms.use, skew=CLOCK_SKEW)
        on_user(taken.identity.user_id)
        access = taken
        if "access" in tokens and not self.config.is_single:
            access = await self.examine(tokens["access"], Use.ACCESS, skew=CLOCK_SKEW)
        session = self._new_session()
        key = SessionKey(self.issuer.name, taken.identity.user_id, session)
        try:
            opened = await self._store.open_session(
                key,
                self.terms.policy,
                presented=self._presented(taken, began=self._wall()),
                access_life=self._life(access.identity),
            )
        except StoreUnavailable:
            return tokens
        claims: dict[str, tuple[Examined, int | None]] = {name: (taken, 0)}
        if access is not taken:
            claims["access"] = access, None
        renewed = {
            each: self._issuing.of_login(one, session=session, generation=generation, opened=opened)
            for each, (one, generation) in claims.items()
        }
        return {**tokens, **renewed}

    async def refresh(self, token: str, *, approve: Approve | None = None) -> Refreshed:
        """The successors of a token, spent by this.

        Raises AuthenticationFailed, StoreUnavailable, KeysUnavailable, and what `approve` raises.
        """
        with self._counted_failures():
            taken = await self.examine(token, self.terms.use)
            self._check_window(taken)
            if approve is not None:
                await self._ask(taken, token, approve)
        rotation = await self._counted(
            self._store.rotate(self.key_of(taken), self._presented(taken), self.terms.policy)
        )
        self._count(rotation.verdict)
        return self._issuing.successors(taken, session=self.key_of(taken).id, rotation=rotation)

    async def verify(self, token: str) -> Examined:
        """A token of any kind, if it is good; raises as `refresh` does."""
        taken = await self.examine(token, Use.ANY)
        if self._view.is_revoked(taken.identity):
            raise self._revoked()
        if self._is_refresh_token(taken):
            if await self._reported(self.verdict_on(taken)) is not Verdict.CURRENT:
                raise self._revoked()
        else:
            self._view.check(taken.identity)
        return taken

    async def standing(self, token: str) -> Examined:
        """A token that refreshes, if it would now: also one that would be replayed.

        One that was spent long before ends its session. Raises as `refresh` does.
        """
        taken = await self.examine(token, self.terms.use)
        verdict = await self._reported(self.verdict_on(taken))
        if verdict is Verdict.REUSED:
            await self._reported(self.end_session_of(taken))
            self.tally.revocation("reuse")
        if verdict in (Verdict.REUSED, Verdict.REVOKED):
            raise self._revoked()
        return taken

    async def end(self, token: str, *, use: Use | None = None) -> Examined:
        """Logout: ends the session of this token; raises as `refresh` does."""
        taken = await self.examine(token, use or self.terms.use)
        verdict = await self._reported(self.end_session_of(taken))
        if verdict is not Verdict.REVOKED:
            self.tally.revocation("logout" if verdict is Verdict.CURRENT else "reuse")
        if verdict is not Verdict.CURRENT:
            raise self._revoked()
        return taken

    async def end_all(self, user: str, *, why: str) -> None:
        """Ends all that was issued to the user so far; raises StoreUnavailable."""
        await self._reported(self._store.end_user(self.issuer.name, user, self.terms.policy))
        self.tally.revocation(why)

    async def end_all_eventually(self, user: str, *, why: str) -> None:
        """As `end_all`; while the store is away here at once, and elsewhere when it is back."""
        await self._store.end_user_eventually(self.issuer.name, user, self.terms.policy)
        self.tally.revocation(why)

    async def revoke(self, user: str, session: str, *, why: str) -> bool:
        """Ends a session of the user by its id; whether it stood. Raises StoreUnavailable."""
        key = SessionKey(self.issuer.name, user, session)
        has_stood = await self._reported(self._store.revoke_session(key, self.terms.policy))
        if has_stood:
            self.tally.revocation(why)
        return has_stood

    async def verdict_on(self, taken: Examined) -> Verdict:
        """Whether a token that refreshes still stands: CURRENT."""
        return await self._store.inspect(
            self.key_of(taken), self._presented(taken), self.terms.policy
        )

    async def end_session_of(self, taken: Examined) -> Verdict:
        return await self._store.end_session(
            self.key_of(taken), self._presented(taken), self.terms.policy
        )

    async def examine(self, token: str, use: Use, *, skew: float = 0.0) -> Examined:
        """The token, verified; its keys are fetched if need be."""
        text = token.encode(errors="replace")
        verifier = self.issuer.verifier
        try:
            return verifier.examine(text, use, skew=skew)
        except KeysNeeded as needed:
            await needed.refresh()
        try:
            return verifier.examine(text, use, skew=skew)
        except KeysNeeded as needed:
            raise needed.unavailable() from needed

    def key_of(self, taken: Examined) -> SessionKey:
        identity = taken.identity
        session = identity.session_id or self.token_id(taken)
        return SessionKey(self.issuer.name, identity.user_id, session)

    def token_id(self, taken: Examined) -> str:
        """The token's own id; where it has none, what tells it from others."""
        found = clean_name(taken.claims.get(self.config.jti_claim))
        if found is not None:
            return found
        claims = repr(sorted(taken.claims.items(), key=lambda item: item[0]))
        return hashlib.sha256(claims.encode()).hexdigest()[:32]

    async def _ask(self, taken: Examined, token: str, approve: Approve) -> None:
        """Asks the upstream about the user, before anything is spent: it may be away."""
        key = self.key_of(taken)
        trial = token
        if not self.config.is_single:
            trial = self._issuing.trial(taken, session=key.id, now=self._wall())
        if not await approve(trial):
            await self._reported(self.end_session_of(taken))
            self.tally.revocation("check_user")
            raise AuthenticationFailed(Flaw.NO_ACCOUNT, issuer=self.issuer.name)

    def _check_window(self, taken: Examined) -> None:
        flaw = self.terms.flaw_in_window(taken.claims, self._wall())
        if flaw is not None:
            raise AuthenticationFailed(flaw, issuer=self.issuer.name)

    def _is_refresh_token(self, taken: Examined) -> bool:
        """Whether the store alone knows if it is still good; of the others the view knows."""
        if self.config.is_single:
            return False
        return taken.is_managed or taken.claims.get(self.config.token_type_claim) == "refresh"

    def _presented(self, taken: Examined, *, began: float | None = None) -> Presented:
        identity, config = taken.identity, self.config
        ends_at = None
        if config.session_lifetime is not None:
            if began is None:
                began = identity.issued_at if identity.issued_at is not None else self._wall()
            ends_at = milliseconds(began + config.session_lifetime)
        issued = identity.issued_at
        return Presented(
            generation=identity.generation or 0,
            is_managed=taken.is_managed,
            issued_at=int(issued) if issued is not None else None,
            life=self._life(identity),
            ends_at=ends_at,
        )

    def _life(self, identity: Identity) -> int:
        """Milliseconds until the token has ended by any clock; a year for what never ends."""
        left = min(max(identity.expires_at - self._wall(), 0), 366 * 86400)
        return milliseconds(left + 1 + CLOCK_SKEW)

    def _revoked(self) -> AuthenticationFailed:
        return AuthenticationFailed(Flaw.REVOKED, issuer=self.issuer.name)

    def _count(self, verdict: Verdict) -> None:
        """Counts a refresh; raises for one that the store refused."""
        self.tally.spent(verdict)
        if verdict in (Verdict.REUSED, Verdict.REVOKED):
            raise self._revoked()

    @contextmanager
    def _counted_failures(self) -> Iterator[None]:
        try:
            yield
        except AuthenticationFailed as error:
            self.tally.refresh("expired" if error.reason == "token_expired" else "invalid")
            raise

    async def _counted(self, answer: Awaitable[_T]) -> _T:
        try:
            return await self._reported(answer)
        except StoreUnavailable:
            self.tally.refresh("unavailable")
            raise

    async def _reported(self, answer: Awaitable[_T]) -> _T:
        try:
            return await answer
        except StoreUnavailable as error:
            raise StoreUnavailable(issuer=self.issuer.name) from error
