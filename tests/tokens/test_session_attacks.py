"""Tokens that nobody honest presents, and plain JWT, which has no package to lean on."""

from typing import Any

import pytest

from gateway.errors import AuthenticationFailed, Flaw
from gateway.tokens.verifier import Use
from tests.factories import (
    CLAIMS,
    Claims,
    sign,
)
from tests.tokens.life import (
    DAY,
    SECOND,
    Begun,
    flaw_of,
    logged_in,
    read,
    refresh_token,
)

# Plain JWT


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"token_type": "refresh"}, {}),
        pytest.param(
            {"typ": "Refresh"},
            {},
        ),
        pytest.param(
            {"token_type": "refresh"},
            {"typ": "rt+jwt"},
        ),
    ],
    ids=["token_type", "typ claim", "typ header"],
)
async def test_the_access_tokens_of_plain_jwt_are_good(
    life: Begun, claims: Claims, header: Claims
) -> None:
    one = life(profile="jwt")
    given = await one.refresh(sign(CLAIMS["jwt"](jti="j", **claims), **header))
    assert one.is_good(given.access)
    assert not one.is_good(str(given.refresh))


# Attacks


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({"profile": "djangorestframework-jwt"}, {"orig_iat": 10**400}),
        ({"profile": "drf-jwt"}, {"orig_iat": -(10**400)}),
        (
            {"auth_token_classes": "SlidingToken"},
            {"token_type": "sliding", "refresh_exp": 10**400},
        ),
        ({"session_lifetime": "1h"}, {"token_type": "refresh", "iat": -(10**400)}),
    ],
    ids=["orig_iat", "orig_iat below 0", "refresh_exp", "iat below 0"],
)
async def test_a_number_beyond_all_clocks_is_a_bad_token(
    life: Begun, settings: dict[str, Any], claims: Claims
) -> None:
    profile = settings.get("profile", "simplejwt")
    with pytest.raises(AuthenticationFailed):
        await life(**settings).refresh(sign(CLAIMS[profile](**claims)))


@pytest.mark.parametrize(
    "gen",
    [1.0, 2**53, 10**30, -1, True, False, "0", [0], {}, 0.5],
    ids=repr,
)
async def test_a_generation_that_is_none_is_refused(life: Begun, gen: object) -> None:
    one = life()
    sid = read((await logged_in(one))["access"])["sid"]
    assert await one.refused(refresh_token(sid=sid, gen=gen)) is Flaw.INVALID


@pytest.mark.parametrize(
    "sid",
    ["", "a\r\nb", "a\0", "\u202e", "x" * 256, 1.5, None, True, ["a"], {"a": 1}],
    ids=["empty", "CR LF", "NUL", "bidi", "long", "float", "null", "bool", "list", "object"],
)
async def test_a_session_that_is_no_name_is_refused(life: Begun, sid: object) -> None:
    assert await life().refused(refresh_token(sid=sid, gen=0)) is Flaw.INVALID


@pytest.mark.parametrize("sid", ["{b}:s:x", "a b", "*", "../x", "é" * 200], ids=repr)
async def test_an_odd_name_is_just_a_name(life: Begun, sid: str) -> None:
    assert await life().refused(refresh_token(sid=sid, gen=0)) is Flaw.REVOKED


async def test_a_session_without_a_generation_is_adopted_as_its_own(life: Begun) -> None:
    """An app may write a `sid` of its own: it is no claim to be managed."""
    one = life()
    given = await one.refresh(refresh_token(sid="theirs", jti="its-own"))
    assert (read(given.refresh)["sid"], read(given.refresh)["gen"]) == ("its-own", 1)


async def test_a_session_that_the_app_names_twice_is_no_reuse(life: Begun) -> None:
    one = life()
    first, second = (refresh_token(sid="device", jti=f"j{n}") for n in range(2))
    await one.refresh(first)
    one.clock.advance(11)
    await one.refresh(second)


async def test_the_uses_are_never_mixed(life: Begun) -> None:
    one = life()
    pair = await logged_in(one)
    assert await one.refused(pair["access"]) is Flaw.WRONG_TYPE
    assert await flaw_of(one.sessions().end(pair["access"])) is Flaw.WRONG_TYPE
    assert not one.is_good(pair["refresh"])
    sliding = sign(CLAIMS["simplejwt"](token_type="sliding", refresh_exp=SECOND + DAY))
    assert await one.refused(sliding) is Flaw.WRONG_TYPE
    assert await flaw_of(one.sessions().examine(pair["access"], Use.SLIDING)) is Flaw.WRONG_TYPE


async def test_the_same_claims_signed_anew_are_the_same_token(life: Begun) -> None:
    """Revocation and reuse go by claims, never by the token's text."""
    one = life()
    token = refresh_token()
    await one.refresh(token)
    one.clock.advance(11)
    claims = dict(reversed(read(token).items()))
    assert await one.refused(sign(claims, kid="other")) is Flaw.REVOKED
