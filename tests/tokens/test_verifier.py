"""Good tokens, and what is refused by form, header and signature."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Flaw
from gateway.tokens.verifier import Progress
from tests.factories import (
    CLAIMS,
    NOW,
    OTHER_SECRET,
    SECRET,
    ec_key,
    ed_key,
    issuer,
    jwk,
    private_pem,
    public_pem,
    rsa_key,
    sign,
    sign_raw,
    simplejwt_claims,
    without,
)
from tests.tokens.judging import PROFILES, TYPED, flaw, raw, refusal

# --- good tokens


@pytest.mark.parametrize("profile", PROFILES)
def test_a_good_token_names_its_user(profile: str) -> None:
    identity = issuer("one", profile=profile).verifier.verify(sign(CLAIMS[profile]()).encode())
    assert identity.issuer == "one"
    assert identity.user_id == ("u-1" if profile == "jwt" else "1")
    assert identity.expires_at == int(NOW) + 3000 + (profile == "djangorestframework-jwt")
    assert identity.claims == CLAIMS[profile]()


SIGNED = {
    **{name: (name, rsa_key) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    "ES256": ("ES256", ec_key),
    "ES384": ("ES384", lambda: ec_key(ec.SECP384R1)),
    "ES512": ("ES512", lambda: ec_key(ec.SECP521R1)),
    "EdDSA": ("EdDSA", ed_key),
    **{name: (name, lambda: SECRET * 2) for name in ("HS256", "HS384", "HS512")},
}


@pytest.mark.parametrize(("algorithm", "make"), SIGNED.values(), ids=SIGNED)
def test_every_algorithm_verifies_its_own_and_nothing_else(algorithm: str, make: Any) -> None:
    key = make()
    text = key if isinstance(key, str) else private_pem(key)
    one = issuer(algorithm=algorithm, signing_key=text)
    token = sign(simplejwt_claims(), key, algorithm)
    assert one.verifier.verify(token.encode()).user_id == "1"
    head, body, signature = token.split(".")
    last = "A" if signature[10] != "A" else "B"
    assert flaw(one, f"{head}.{body}.{signature[:10]}{last}{signature[11:]}") is Flaw.UNDECODABLE
    assert flaw(one, f"{head}.{body}.{signature[:-4]}") is Flaw.UNDECODABLE
    assert flaw(one, f"{head}.{body}.") is Flaw.UNDECODABLE
    assert flaw(one, raw(simplejwt_claims(), alg="none")) is Flaw.INVALID


def test_while_keys_rotate_tokens_of_each_are_good() -> None:
    one = issuer(signing_key=SECRET, verifying_key=[OTHER_SECRET])
    for secret in (SECRET, OTHER_SECRET):
        assert one.verifier.verify(sign(simplejwt_claims(), secret).encode()).user_id == "1"
    assert flaw(one, sign(simplejwt_claims(), "t" * 40)) is Flaw.UNDECODABLE


def test_the_session_is_the_tokens_id_unless_it_names_one() -> None:
    one = issuer()
    plain = one.verifier.verify(sign(simplejwt_claims(jti="j1")).encode())
    named = one.verifier.verify(sign(simplejwt_claims(jti="j1", sid="s1")).encode())
    assert (plain.session_id, named.session_id) == ("j1", "s1")


def test_the_claim_names_are_the_configured_ones() -> None:
    one = issuer(user_id_claim="uid", token_type_claim="kind", jti_claim="nonce")
    claims = simplejwt_claims(**without("user_id", "token_type", "jti"))
    token = sign({**claims, "uid": 7, "kind": "access", "nonce": "n1"})
    identity = one.verifier.verify(token.encode())
    assert (identity.user_id, identity.session_id) == ("7", "n1")


def test_a_bearer_known_by_name_alone_goes_by_that_name() -> None:
    one = issuer(profile="drf-jwt")
    token = sign(CLAIMS["drf-jwt"](**without("user_id")))
    assert one.verifier.verify(token.encode()).user_id == "alice"


# --- forged tokens (hardening: alg none, key confusion, embedded keys, crit, b64, JWE, JSON form)


def test_a_public_key_is_no_secret() -> None:
    pem = public_pem(rsa_key())
    one = issuer(algorithm="RS256", verifying_key=pem)
    forged = sign_raw(TYPED, json.dumps(simplejwt_claims()).encode(), pem)
    assert flaw(one, forged) is Flaw.INVALID


HOSTILE_HEADERS: dict[str, dict[str, Any]] = {
    "crit": {"crit": ["exp"], "exp": 1},
    "crit, empty": {"crit": []},
    "crit with b64": {"crit": ["b64"], "b64": True},
    "b64 false": {"b64": False},
    "alg none": {"alg": "none"},
    "alg None": {"alg": "None"},
    "alg missing": {"alg": None},
    "alg a list": {"alg": ["HS256"]},
    "alg in other case": {"alg": "hs256"},
    "alg another of the family": {"alg": "HS512"},
    "kid a number": {"kid": 7},
    "kid a list": {"kid": ["k"]},
    "typ a number": {"typ": 7},
}


@pytest.mark.parametrize("header", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_hostile_header_is_refused_though_the_signature_is_right(
    header: dict[str, Any], profile: str
) -> None:
    one = issuer(profile=profile)
    assert flaw(one, raw(CLAIMS[profile](), **header)) is Flaw.INVALID


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": jwk(rsa_key(), "mine")},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"kid": "../../../../dev/null"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_keys_that_a_header_brings_along_are_never_used(header: dict[str, Any]) -> None:
    one = issuer(algorithm="RS256", verifying_key=public_pem(rsa_key(1)))
    forged = sign(simplejwt_claims(), rsa_key(), "RS256", **header)
    assert flaw(one, forged) is Flaw.UNDECODABLE


MALFORMED = {
    "empty": b"",
    "one part": b"abc",
    "three short parts": b"a.b.c",
    "five parts (JWE)": b"eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA",
    "JSON form": b'{"payload":"e30","signatures":[]}',
    "no header": b".e30.AAAA",
    "no payload": b"eyJhbGciOiJIUzI1NiJ9..AAAA",
    "header not JSON": b"YWJj.e30.AAAA",
    "header a list": b"W10.e30.AAAA",
    "header not UTF-8": b"__8.e30.AAAA",
    "padding": b"eyJhbGciOiJIUzI1NiJ9.e30=.AAAA",
    "standard alphabet": b"eyJhbGciOiJIUzI1NiJ9.e30.AA+/",
    "NUL": b"eyJhbGciOiJIUzI1NiJ9.e30.AA\x00",
    "Latin-1": b"caf\xe9",
    "spare bits set": b"eyJhbGciOiJIUzI1NiJ9.e31.AAAA",
}


@pytest.mark.parametrize("token", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_token_is_refused_by_its_form(token: bytes) -> None:
    error = refusal(issuer(), token)
    assert error.flaw in (Flaw.UNDECODABLE, Flaw.INVALID)


def test_a_signature_has_one_spelling() -> None:
    token = sign(simplejwt_claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = alphabet[alphabet.index(token[-1]) + 1]
    assert refusal(issuer(), token[:-1] + sibling).progress is Progress.FORM


def test_over_8_kib_no_key_is_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    one = issuer()
    fitting = sign(simplejwt_claims(note="x" * 5_000))
    assert len(fitting) < 8192
    one.verifier.verify(fitting.encode())
    monkeypatch.setattr("gateway.tokens.keys.Key.verifies", lambda *_: pytest.fail("crypto"))
    assert refusal(one, sign(simplejwt_claims(note="x" * 6_100))).progress is Progress.FORM


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else_is_raised(data: bytes) -> None:
    refusal(issuer(), data)
