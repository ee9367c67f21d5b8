"""Time, audience, issuer and type of a token, by each package's rules."""

from typing import Any

import jwt
import pytest

from gateway.errors import Flaw
from gateway.tokens.verifier import Progress
from tests.factories import (
    CLAIMS,
    NOW,
    OTHER_SECRET,
    Claims,
    FrozenClock,
    issuer,
    plain_claims,
    sign,
    simplejwt_claims,
    without,
)
from tests.tokens.judging import PROFILES, flaw, raw, refusal


@pytest.mark.parametrize("leeway", [0, 30])
@pytest.mark.parametrize("profile", PROFILES)
def test_leeway_is_exact_to_the_second_both_ways(profile: str, leeway: int) -> None:
    now, clock = int(NOW), FrozenClock(float(int(NOW)))
    one = issuer(profile=profile, leeway=f"{leeway}s", clock=clock)
    # PyJWT 1 honours the second of `exp` itself, PyJWT 2 does not.
    last = now - leeway + (0 if profile == "djangorestframework-jwt" else 1)
    assert one.verifier.verify(sign(CLAIMS[profile](exp=last, iat=now - 90)).encode())
    assert flaw(one, sign(CLAIMS[profile](exp=last - 1, iat=now - 90))) is Flaw.EXPIRED
    assert one.verifier.verify(sign(CLAIMS[profile](nbf=now + leeway)).encode())
    assert flaw(one, sign(CLAIMS[profile](nbf=now + leeway + 1))) is Flaw.INVALID
    assert one.verifier.verify(sign(CLAIMS[profile](iat=now + leeway)).encode())
    if profile != "djangorestframework-jwt":
        assert flaw(one, sign(CLAIMS[profile](iat=now + leeway + 1))) is Flaw.INVALID


@pytest.mark.parametrize("profile", PROFILES)
def test_a_token_is_good_until_exactly_expires_at(profile: str) -> None:
    clock = FrozenClock()
    one = issuer(profile=profile, leeway="2s", clock=clock)
    token = sign(CLAIMS[profile]()).encode()
    ends = one.verifier.verify(token).expires_at
    clock.now = ends - 0.001
    one.verifier.verify(token)
    clock.now = ends
    assert flaw(one, token) is Flaw.EXPIRED


# --- audience, issuer, type

AUDIENCES: dict[str, Any] = {
    "the one": ("api", True),
    "among others": (["web", "api"], True),
    "another": ("web", False),
    "other ones": (["web"], False),
    "none": (None, False),
    "empty": ("", False),
    "a number": (7, False),
    "numbers beside it": (["api", 7], False),
    "an object": ({"api": 1}, False),
}


@pytest.mark.parametrize(("aud", "is_good"), AUDIENCES.values(), ids=AUDIENCES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_configured_audience_is_demanded(profile: str, aud: Any, is_good: bool) -> None:
    one = issuer(profile=profile, audience=["api", "api2"])
    token = raw(CLAIMS[profile](aud=aud))
    if is_good:
        assert one.verifier.verify(token.encode())
    else:
        assert flaw(one, token) is Flaw.INVALID


@pytest.mark.parametrize("iss", ["https://other.example", "", None, 7, ["https://id.example"]])
def test_a_configured_issuer_is_demanded(iss: Any) -> None:
    one = issuer(issuer="https://id.example")
    assert one.verifier.verify(raw(simplejwt_claims(iss="https://id.example")).encode())
    assert flaw(one, raw(simplejwt_claims(iss=iss))) is Flaw.INVALID
    assert flaw(one, raw(simplejwt_claims())) is Flaw.INVALID


TYPES: dict[str, tuple[Claims, Flaw]] = {
    "refresh": ({"token_type": "refresh"}, Flaw.WRONG_TYPE),
    "sliding": ({"token_type": "sliding"}, Flaw.WRONG_TYPE),
    "in other case": ({"token_type": "Access"}, Flaw.WRONG_TYPE),
    "a list": ({"token_type": ["access"]}, Flaw.WRONG_TYPE),
    "null": ({"token_type": None}, Flaw.WRONG_TYPE),
    "none": (without("token_type"), Flaw.NO_TYPE),
}


@pytest.mark.parametrize(("changes", "expected"), TYPES.values(), ids=TYPES)
def test_only_an_access_token_is_an_access_token(changes: Claims, expected: Flaw) -> None:
    assert flaw(issuer(), raw(simplejwt_claims(**changes))) is expected


PLAIN_TYPES: dict[str, tuple[dict[str, Any], Claims, bool]] = {
    "no typ": ({"typ": None}, {}, True),
    "JWT": ({"typ": "JWT"}, {}, True),
    "at+jwt": ({"typ": "at+jwt"}, {}, True),
    "application/at+jwt": ({"typ": "application/AT+JWT"}, {}, True),
    "rt+jwt": ({"typ": "rt+jwt"}, {}, False),
    "logout+jwt": ({"typ": "logout+jwt"}, {}, False),
    "token_type access": ({}, {"token_type": "access"}, True),
    "token_type Bearer": ({}, {"token_type": "Bearer"}, True),
    "token_type refresh": ({}, {"token_type": "refresh"}, False),
    "token_type of another kind": ({}, {"token_type": 7}, False),
    "token_use access": ({}, {"token_use": "access"}, True),
    "token_use id": ({}, {"token_use": "id"}, False),
    "typ claim Bearer": ({}, {"typ": "Bearer"}, True),
    "typ claim Refresh": ({}, {"typ": "Refresh"}, False),
    "typ claim ID": ({}, {"typ": "ID"}, False),
    "an ID token by its at_hash": ({}, {"at_hash": "x"}, False),
    "at_hash in a named access token": ({"typ": "at+jwt"}, {"at_hash": "x"}, True),
}


@pytest.mark.parametrize(("header", "changes", "is_good"), PLAIN_TYPES.values(), ids=PLAIN_TYPES)
def test_a_plain_token_that_says_it_is_no_access_token_is_none(
    header: dict[str, Any], changes: Claims, is_good: bool
) -> None:
    one = issuer(profile="jwt")
    token = raw(plain_claims(**changes), **header)
    if is_good:
        assert one.verifier.verify(token.encode())
    else:
        assert flaw(one, token) is Flaw.WRONG_TYPE


def test_a_plain_token_must_expire() -> None:
    assert flaw(issuer(profile="jwt"), raw(plain_claims(**without("exp")))) is Flaw.NO_EXPIRY


def test_a_plain_tokens_user_claim_can_be_set() -> None:
    one = issuer(profile="jwt", user_id_claim="user_id")
    assert one.verifier.verify(raw(plain_claims(user_id=9)).encode()).user_id == "9"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_token_of_another_issuer_is_refused(profile: str) -> None:
    error = refusal(issuer(profile=profile), sign(CLAIMS[profile](), OTHER_SECRET))
    assert error.progress is Progress.SIGNATURE
    assert error.flaw is Flaw.UNDECODABLE


def test_the_judgement_of_times_agrees_with_pyjwt() -> None:
    for exp in (int(NOW) - 1, int(NOW), int(NOW) + 1):
        token = sign(simplejwt_claims(exp=exp))
        claims = jwt.decode(token, options={"verify_signature": False})
        is_good = claims["exp"] > NOW
        one = issuer()
        if is_good:
            assert one.verifier.verify(token.encode())
        else:
            assert flaw(one, token) is Flaw.EXPIRED
