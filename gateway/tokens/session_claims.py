"""What a token's claims tell of its session: which one, since when, which generation."""

import hashlib
from collections.abc import Mapping
from typing import Any

from gateway.errors import Flaw
from gateway.tokens.jws import FlawError
from gateway.tokens.rules import EXACT_FLOAT, clean_name

# Seconds by which the gateway dates its tokens back: PyJWT 2 refuses an `iat` ahead of its clock.
BACKDATED = 2


def session_of(
    claims: Mapping[str, Any], user: str, *, id_claims: tuple[str, ...], refreshes: bool
) -> str | None:
    """The id of the session: `sid`, or what stands for it in tokens that have none.

    That is the last of `id_claims` that is there; `refreshes` is whether the token does, whose
    `sid` is the gateway's only beside a `gen`. Raises FlawError for an id that is not text.
    """
    session = None
    for claim in (*id_claims, "sid"):
        if claim in claims:
            found = clean_name(claims[claim])
            if found is None:
                raise FlawError(Flaw.INVALID)
            if claim != "sid" or not refreshes or "gen" in claims:
                session = found
    if session is None and "orig_iat" in claims:
        # The oldest package gives no id; a login is told apart by its user and second.
        text = f"{user}\n{claims['orig_iat']}"
        session = hashlib.sha256(text.encode()).hexdigest()[:32]
    return session


def issued_at(claims: Mapping[str, Any], *, is_ours: bool) -> float | None:
    """When the token was issued, in epoch seconds; without `iat`, when its session began.

    `is_ours` is whether the gateway signs this issuer's tokens: those with a `sid` are dated back.
    """
    claim = "iat" if "iat" in claims else "orig_iat"
    try:
        issued = int(claims[claim])
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    if abs(issued) >= EXACT_FLOAT:
        return None
    return issued + BACKDATED if is_ours and claim == "iat" and "sid" in claims else issued


def generation_of(claims: Mapping[str, Any], *, is_single: bool) -> int | None:
    """The generation, of tokens that refresh; raises FlawError for what is none.

    `is_single` is whether the issuer's access tokens refresh too: those from before the gateway
    came are of generation 0.
    """
    generation = claims.get("gen")
    if generation is None or "sid" not in claims:
        return 0 if is_single else None
    if type(generation) is not int or not 0 <= generation < EXACT_FLOAT:
        raise FlawError(Flaw.INVALID)
    return generation
