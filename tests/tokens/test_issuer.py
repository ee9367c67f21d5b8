"""Minted tokens are such as the package behind the gateway takes for its own."""

from typing import Any, get_args

import jwt
import pytest

from gateway.config.issuer import Profile
from gateway.errors import ClaimsUnmet
from gateway.identity import Identity
from gateway.tokens.keys import KeyMaterialError
from gateway.tokens.minting import FORMS
from tests.factories import (
    CLAIMS,
    NOW,
    SECRET,
    ec_key,
    issuer,
    private_pem,
    public_pem,
)

ALICE = Identity(
    issuer="elsewhere",
    user_id="1",
    expires_at=NOW + 100,
    claims={"username": "alice", "email": "alice@example.org", "is_admin": True},
)


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


@pytest.mark.parametrize("profile", CLAIMS)
def test_a_minted_token_is_in_the_packages_form(profile: str) -> None:
    one = issuer("inner", profile=profile)
    token = one.mint(ALICE, lifetime=30, now=NOW)
    claims = claims_of(token)
    assert claims["exp"] == int(NOW + 30)
    assert claims.get("iat", claims.get("orig_iat")) == int(NOW) - 2
    expected = set(CLAIMS[profile]()) | ({"jti"} if profile == "jwt" else set())
    assert set(claims) == expected
    assert "is_admin" not in claims, "no other issuer's claims are vouched for"
    for claim, value in CLAIMS[profile]().items():
        if claim not in ("exp", "iat", "orig_iat", "jti"):
            assert claims[claim] == (ALICE.user_id if claim == "sub" else value)
    assert one.verifier.verify(token.encode()).user_id == "1"


@pytest.mark.parametrize("profile", CLAIMS)
def test_a_minted_token_is_for_the_configured_audience_and_by_the_configured_issuer(
    profile: str,
) -> None:
    one = issuer(profile=profile, audience="api", issuer="https://id.example")
    token = one.mint(ALICE, lifetime=30, now=NOW)
    assert claims_of(token)["aud"] == "api"
    assert claims_of(token)["iss"] == "https://id.example"
    assert one.verifier.verify(token.encode())


def test_several_audiences_are_a_list() -> None:
    token = issuer(audience=["a", "b"]).mint(ALICE, lifetime=30, now=NOW)
    assert claims_of(token)["aud"] == ["a", "b"]


def test_every_minted_token_has_an_id_of_its_own() -> None:
    one = issuer()
    ids = {claims_of(one.mint(ALICE, lifetime=30, now=NOW))["jti"] for _ in range(10)}
    assert len(ids) == 10


def test_a_private_key_mints_what_its_public_half_verifies() -> None:
    one = issuer(algorithm="ES256", signing_key=private_pem(ec_key()))
    token = one.mint(ALICE, lifetime=30, now=NOW)
    key = public_pem(ec_key())
    options = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(token, key, algorithms=["ES256"], options=options)["user_id"] == "1"  # type: ignore[arg-type]


def test_a_plain_minted_token_says_that_it_is_an_access_token() -> None:
    token = issuer(profile="jwt").mint(ALICE, lifetime=30, now=NOW)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"


@pytest.mark.parametrize("profile", ["drf-jwt", "djangorestframework-jwt"])
@pytest.mark.parametrize("claims", [{}, {"username": ""}, {"username": 7}], ids=repr)
def test_a_form_with_user_names_is_not_minted_for_a_nameless_bearer(
    profile: str, claims: dict[str, Any]
) -> None:
    someone = Identity(issuer="elsewhere", user_id="7", expires_at=NOW, claims=claims)
    with pytest.raises(ClaimsUnmet):
        issuer(profile=profile).mint(someone, lifetime=30, now=NOW)


def test_a_primary_key_that_is_no_number_stays_text() -> None:
    someone = Identity(
        issuer="elsewhere", user_id="u-7", expires_at=NOW, claims={"username": "ann"}
    )
    claims = claims_of(issuer(profile="drf-jwt").mint(someone, lifetime=30, now=NOW))
    assert (claims["username"], claims["user_id"]) == ("ann", "u-7")


def test_every_profile_has_a_form() -> None:
    assert set(FORMS) == set(get_args(Profile))


def test_without_a_signing_key_nothing_is_minted() -> None:
    with pytest.raises(KeyMaterialError, match="minting needs a signing_key"):
        issuer(verifying_key=SECRET).mint(ALICE, lifetime=30, now=NOW)


def test_the_repr_shows_no_key() -> None:
    assert repr(issuer("students")) == "<Issuer students simplejwt HS256>"
