"""Which claims each package demands and takes, as data, and their check in PyJWT's order.

The recordings in `tests/wire` are the truth. The packages share PyJWT but not its release, hence
the differences in types and borders. A claim that a package answers with a crash (status 500) is
refused here as plainly invalid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Flaw
from gateway.tokens.jws import FlawError

YEAR_9999 = 253_402_300_799  # simplejwt turns `exp` into a datetime
EXACT_FLOAT = 2**53  # beyond it seconds are no longer told apart
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What one package, in one release, asks of the claims."""

    exp_required: bool
    exp_limit: int = EXACT_FLOAT
    exp_second_included: bool = False  # PyJWT 1 honours a token through its last second
    future_iat_refused: bool = True
    text_ids_only: bool = True  # PyJWT 2.10 on: `sub` and `jti` must be strings
    unasked_aud_refused: bool = True  # an `aud` in the token, where no audience is configured
    id_required: bool = False
    named_by: str | None = None  # the package finds its user by this claim, not by the id
    type_required: bool = False
    typed_by_rfc: bool = False  # RFC 9068 `typ`, and marks of refresh and ID tokens


SIMPLEJWT = ClaimRules(
    exp_required=True,
    exp_limit=YEAR_9999,
    unasked_aud_refused=False,
    id_required=True,
    type_required=True,
)
SIMPLEJWT_5_4 = ClaimRules(
    exp_required=True,
    exp_limit=YEAR_9999,
    text_ids_only=False,
    unasked_aud_refused=False,
    id_required=True,
    type_required=True,
)
DRF_JWT = ClaimRules(exp_required=False, named_by="username")
LEGACY = ClaimRules(
    exp_required=False,
    exp_second_included=True,
    future_iat_refused=False,
    text_ids_only=False,
    named_by="username",
)
PLAIN = ClaimRules(exp_required=True, typed_by_rfc=True)


def rules_of(profile: str, version: str) -> ClaimRules:
    """The rules of a profile at a release such as "5.5"."""
    if profile == "simplejwt":
        return SIMPLEJWT if is_from_5_5(version) else SIMPLEJWT_5_4
    return {"drf-jwt": DRF_JWT, "djangorestframework-jwt": LEGACY, "jwt": PLAIN}[profile]


def is_from_5_5(version: str) -> bool:
    """Whether this simplejwt release words expired and invalid tokens apart."""
    return tuple(int(part) for part in version.split(".")[:2]) >= (5, 5)


def check_registered(
    claims: Mapping[str, Any],
    rules: ClaimRules,
    *,
    now: float,
    leeway: float,
    audience: tuple[str, ...],
    issuer: str | None,
) -> float:
    """The RFC 7519 claims; returns until when (epoch seconds) they hold, raises FlawError."""
    if "iat" in claims:
        issued_at = _seconds(claims["iat"], Flaw.INVALID)
        latest = now + leeway if rules.future_iat_refused else EXACT_FLOAT
        if not -EXACT_FLOAT < issued_at <= latest:
            raise FlawError(Flaw.INVALID)
    if "nbf" in claims and _seconds(claims["nbf"], Flaw.UNDECODABLE) > now + leeway:
        raise FlawError(Flaw.INVALID)
    good_until = _good_until(claims, rules, leeway)
    if now >= good_until:
        raise FlawError(Flaw.EXPIRED)
    if issuer is not None and claims.get("iss") != issuer:
        raise FlawError(Flaw.INVALID)
    _check_audience(claims.get("aud"), audience, rules)
    for name in ("sub", "jti"):
        value = claims.get(name, "")
        if rules.text_ids_only and not isinstance(value, str):
            raise FlawError(Flaw.INVALID)
    if rules.exp_required and "exp" not in claims:
        raise FlawError(Flaw.NO_EXPIRY)
    return good_until


def clean_name(value: object) -> str | None:
    """An id or name as text that is safe in headers, store keys and logs; None for any other."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**MAX_NAME else ""
    if isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable():
        return value
    return None


def _good_until(claims: Mapping[str, Any], rules: ClaimRules, leeway: float) -> float:
    if "exp" not in claims:
        return float("inf")
    exp = claims["exp"]
    seconds = _seconds(exp, Flaw.UNDECODABLE)
    if seconds > rules.exp_limit or (rules.exp_limit == YEAR_9999 and isinstance(exp, str)):
        raise FlawError(Flaw.INVALID)  # simplejwt reads it once more, as a number and a date
    return seconds + leeway + (1 if rules.exp_second_included else 0)


def _check_audience(found: object, wanted: tuple[str, ...], rules: ClaimRules) -> None:
    if not wanted:
        if found and rules.unasked_aud_refused:
            raise FlawError(Flaw.INVALID)
        return
    named = [found] if isinstance(found, str) else found
    if (
        not isinstance(named, list)
        or not all(isinstance(name, str) for name in named)
        or not any(name in named for name in wanted)
    ):
        raise FlawError(Flaw.INVALID)


def _seconds(value: object, flaw: Flaw) -> int:
    """The claim as PyJWT's `int()` reads it: whole numbers, also from text."""
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except (ValueError, TypeError, OverflowError) as error:
        raise FlawError(flaw) from error
