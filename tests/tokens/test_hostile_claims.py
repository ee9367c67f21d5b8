"""Signed but hostile claims: refused, whoever signed them."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Flaw
from gateway.tokens.verifier import TokenRefused
from tests.factories import (
    CLAIMS,
    issuer,
    sign_raw,
    simplejwt_claims,
    without,
)
from tests.tokens.judging import PROFILES, TYPED, flaw, raw

PAYLOADS = {
    "not JSON": b"abc",
    "a list": b"[]",
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "too deep to parse": b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
    "a number of 5,000 digits": b'{"exp":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_that_is_no_object_is_undecodable(payload: bytes) -> None:
    assert flaw(issuer(), sign_raw(TYPED, payload)) is Flaw.UNDECODABLE


@pytest.mark.parametrize("opening", ["list", "object"])
def test_claims_nest_only_so_deep(opening: str) -> None:
    def nested(depth: int) -> Any:
        inner: Any = 1
        for _ in range(depth):
            inner = [inner] if opening == "list" else {"a": inner}
        return inner

    one = issuer()
    assert one.verifier.verify(raw(simplejwt_claims(note=nested(30))).encode())
    assert flaw(one, raw(simplejwt_claims(note=nested(33)))) is Flaw.INVALID
    wide = simplejwt_claims(note=[[] for _ in range(100)])
    assert one.verifier.verify(raw(wide).encode())


NAN, INFINITY = float("nan"), float("inf")
BAD_EXP: dict[str, Any] = {
    "NaN": (NAN, Flaw.UNDECODABLE),
    "Infinity": (INFINITY, Flaw.UNDECODABLE),
    "-Infinity": (-INFINITY, Flaw.UNDECODABLE),
    "1e308": (1e308, Flaw.INVALID),
    "beyond exact seconds": (2**53 + 1, Flaw.INVALID),
    "300 digits": (10**300, Flaw.INVALID),
    "negative": (-1, Flaw.EXPIRED),
    "true": (True, Flaw.EXPIRED),
    "false": (False, Flaw.EXPIRED),
    "zero": (0, Flaw.EXPIRED),
    "null": (None, Flaw.UNDECODABLE),
    "list": ([1], Flaw.UNDECODABLE),
    "object": ({}, Flaw.UNDECODABLE),
    "text": ("soon", Flaw.UNDECODABLE),
    "empty text": ("", Flaw.UNDECODABLE),
}


@pytest.mark.parametrize(("exp", "expected"), BAD_EXP.values(), ids=BAD_EXP)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_hostile_exp_is_refused(profile: str, exp: Any, expected: Flaw) -> None:
    assert flaw(issuer(profile=profile), raw(CLAIMS[profile](exp=exp))) is expected


@pytest.mark.parametrize("profile", PROFILES)
def test_a_far_exp_is_taken_where_the_package_takes_it(profile: str) -> None:
    token = raw(CLAIMS[profile](exp=10**12))
    one = issuer(profile=profile)
    if profile == "simplejwt":
        assert flaw(one, token) is Flaw.INVALID
    else:
        assert one.verifier.verify(token.encode())


@pytest.mark.parametrize("value", [NAN, INFINITY, 1e308, 10**300, "soon", None, [1]])
@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_hostile_iat_or_nbf_is_refused(profile: str, claim: str, value: Any) -> None:
    flaws = {Flaw.INVALID} if claim == "iat" else {Flaw.INVALID, Flaw.UNDECODABLE}
    assert flaw(issuer(profile=profile), raw(CLAIMS[profile](**{claim: value}))) in flaws


HOSTILE_TEXT = {
    "empty": "",
    "CR LF": "1\r\nX-Admin: 1",
    "NUL": "1\x00",
    "tab": "1\t2",
    "escape": "\x1b[31m",
    "lone surrogate": "\ud800",
    "right-to-left override": "\u202e1",
    "line separator": "1\u2028",
    "zero-width space": "1\u200b",
    "no-break space": "1\u00a0",
    "256 characters": "1" * 256,
}
HOSTILE_VALUES = {
    **HOSTILE_TEXT,
    "true": True,
    "float": 1.5,
    "list": ["1"],
    "object": {"a": 1},
    "huge number": 10**300,
}
USER_CLAIMS = {
    "simplejwt": "user_id",
    "drf-jwt": "username",
    "djangorestframework-jwt": "username",
    "jwt": "sub",
}


@pytest.mark.parametrize("value", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_hostile_user_is_nobody(profile: str, value: Any) -> None:
    token = raw(CLAIMS[profile](**{USER_CLAIMS[profile]: value}))
    expected = {Flaw.NO_USER} if profile != "jwt" else {Flaw.NO_USER, Flaw.INVALID}
    assert flaw(issuer(profile=profile), token) in expected


@pytest.mark.parametrize("profile", PROFILES)
def test_a_missing_or_null_user_is_nobody(profile: str) -> None:
    claim = USER_CLAIMS[profile]
    one = issuer(profile=profile)
    assert flaw(one, raw(CLAIMS[profile](**without(claim)))) is Flaw.NO_USER
    null = flaw(one, raw(CLAIMS[profile](**{claim: None})))
    assert null is (Flaw.INVALID if claim == "sub" else Flaw.NO_USER)


@pytest.mark.parametrize("value", HOSTILE_TEXT.values(), ids=HOSTILE_TEXT)
@pytest.mark.parametrize("claim", ["jti", "sid", "user_id"])
@pytest.mark.parametrize("profile", PROFILES[:3])
def test_hostile_ids_are_refused(profile: str, claim: str, value: str) -> None:
    token = raw(CLAIMS[profile](**{claim: value}))
    assert flaw(issuer(profile=profile), token) in (Flaw.INVALID, Flaw.NO_USER)


@pytest.mark.parametrize("claim", ["sub", "username"])
def test_a_hostile_name_beside_the_user_is_refused(claim: str) -> None:
    one = issuer()
    assert flaw(one, raw(simplejwt_claims(**{claim: "a\r\nb"}))) is Flaw.INVALID
    assert one.verifier.verify(raw(simplejwt_claims(**{claim: ""})).encode())


def test_odd_but_printable_names_are_people_too() -> None:
    one = issuer(profile="drf-jwt")
    token = raw(CLAIMS["drf-jwt"](username="Zoë 陈", user_id="Zoë 陈"))
    assert one.verifier.verify(token.encode()).user_id == "Zoë 陈"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(profile=st.sampled_from(PROFILES), data=st.data())
def test_any_signed_claims_are_judged_without_a_crash(profile: str, data: Any) -> None:
    names = sorted({*CLAIMS[profile](), "nbf", "aud", "iss", "sub", "sid", "typ", "token_use"})
    changed = data.draw(st.dictionaries(st.sampled_from(names), _JSON, max_size=3))
    one = issuer(profile=profile)
    try:
        identity = one.verifier.verify(raw(CLAIMS[profile](**changed)).encode())
    except TokenRefused:
        return
    assert identity.user_id.isprintable()
    assert identity.user_id
    assert identity.session_id is None or identity.session_id.isprintable()
