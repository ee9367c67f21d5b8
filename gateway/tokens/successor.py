"""The claims of a token that takes another one's place, in its form and in its order.

All claims survive but those that must change: `exp`, `iat`, the token's id, and `gen`. Pure: the
same token, generation and moment give the same claims, so that who retries gets the same token.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gateway.config import IssuerConfig
from gateway.tokens.session_claims import BACKDATED

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a token is issued, and when its session ends at the latest; epoch seconds."""

    issued: int
    ends: int | None = None

    def until(self, lifetime: float) -> int:
        """The `exp` of a token with this life in seconds; no token outlives its session."""
        expires = self.issued + int(lifetime)
        return expires if self.ends is None else min(expires, self.ends)


class SuccessorIds:
    """Token ids that derive from the session and the generation, by a keyed hash."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"gateway token ids", "sha256")

    def of(self, session: str, generation: int, use: str) -> UUID:
        text = f"{session}\n{generation}\n{use}"
        return UUID(bytes=hmac.digest(self._key, text.encode(), hashlib.sha256)[:16])


def reissued(
    claims: Claims, *, session: str, generation: int | None, issued: int, not_before: int
) -> Claims:
    """The claims of a login's token as the gateway issues it: the same, with its session.

    `issued` is now, `not_before` when the user's sessions were ended last; epoch seconds.
    """
    changed = dict(claims)
    if "iat" in changed:
        changed["iat"] = issued - BACKDATED
    if isinstance(changed.get("orig_iat"), int):
        # By this the older packages tell when the session began.
        changed["orig_iat"] = max(changed["orig_iat"], not_before + 1 if not_before else 0)
    return _with_session(changed, session, generation)


def successor(
    claims: Claims,
    config: IssuerConfig,
    *,
    session: str,
    generation: int,
    moment: Moment,
    lifetime: float,
    new_id: UUID,
) -> Claims:
    """The claims of the token that refreshes next; `lifetime` in seconds."""
    changed = dict(claims)
    if config.profile == "drf-jwt" and "orig_jti" not in changed and config.jti_claim in changed:
        changed["orig_jti"] = changed[config.jti_claim]
    changed["exp"] = moment.until(lifetime)
    if "iat" in changed:
        changed["iat"] = moment.issued - BACKDATED
    if config.jti_claim in changed or config.profile == "drf-jwt":
        changed[config.jti_claim] = _written(new_id, config)
    return _with_session(changed, session, generation)


def access_of(
    claims: Claims, config: IssuerConfig, *, session: str, moment: Moment, new_id: UUID
) -> Claims:
    """The claims of an access token that goes with this refresh token, as simplejwt orders them."""
    own = {config.token_type_claim, "exp", "iat", config.jti_claim, "gen", "sid"}
    if config.profile == "jwt" and str(claims.get("typ")).lower() == "refresh":
        own.add("typ")
    return {
        config.token_type_claim: "access",
        "exp": moment.until(config.access_token_lifetime),
        "iat": moment.issued - BACKDATED,
        config.jti_claim: _written(new_id, config),
        **{name: value for name, value in claims.items() if name not in own},
        "sid": session,
    }


def _written(new_id: UUID, config: IssuerConfig) -> str:
    return str(new_id) if config.profile == "drf-jwt" else new_id.hex


def _with_session(claims: dict[str, Any], session: str, generation: int | None) -> Claims:
    claims["sid"] = session
    if generation is not None:
        claims["gen"] = generation
    return claims
