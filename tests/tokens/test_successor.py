"""The claims of successors: all survive but those that must change, in their old places."""

from typing import Any
from uuid import UUID

import pytest

from gateway.tokens.successor import (
    Claims,
    Moment,
    SuccessorIds,
    access_of,
    reissued,
    successor,
)
from tests.factories import A_UUID, CLAIMS, issuer_config

ISSUED = 1_800_000_000


def next_of(claims: Claims, *, ends: int | None = None, **settings: Any) -> Claims:
    return successor(
        claims,
        issuer_config(**settings),
        session="s",
        generation=3,
        moment=Moment(ISSUED, ends),
        lifetime=600.0,
        new_id=A_UUID,
    )


def access(claims: Claims, *, ends: int | None = None, **settings: Any) -> Claims:
    config = issuer_config(**settings)
    return access_of(claims, config, session="s", moment=Moment(ISSUED, ends), new_id=A_UUID)


@pytest.mark.parametrize("profile", CLAIMS)
def test_everything_else_survives_in_its_place(profile: str) -> None:
    claims = {**CLAIMS[profile](), "role": "x", "nested": {"b": 1, "a": [None]}, "gen": 2}
    renewed = next_of(claims, profile=profile)
    assert [name for name in renewed if name in claims] == list(claims)
    changed = {name for name in claims if claims[name] != renewed[name]}
    assert changed <= {"exp", "iat", "jti", "gen"}
    assert changed >= {"exp", "gen"}


@pytest.mark.parametrize(
    ("profile", "claims", "added"),
    [
        ("simplejwt", {"exp": 1, "iat": 1, "jti": "j"}, ["sid", "gen"]),
        ("simplejwt", {"exp": 1, "jti": "j", "sid": "s", "gen": 2}, []),
        ("drf-jwt", {"exp": 1, "iat": 1, "jti": "j"}, ["orig_jti", "sid", "gen"]),
        ("drf-jwt", {"exp": 1, "iat": 1, "jti": "j", "orig_jti": "o"}, ["sid", "gen"]),
        ("drf-jwt", {"exp": 1}, ["jti", "sid", "gen"]),
        ("djangorestframework-jwt", {"exp": 1, "orig_iat": 1}, ["sid", "gen"]),
        ("djangorestframework-jwt", {"orig_iat": 1}, ["exp", "sid", "gen"]),
        ("jwt", {"sub": "u", "exp": 1}, ["sid", "gen"]),
    ],
)
def test_only_these_are_added(profile: str, claims: Claims, added: list[str]) -> None:
    assert list(next_of(claims, profile=profile)) == [*claims, *added]


def test_ids_are_written_as_the_package_writes_them() -> None:
    claims = {"exp": 1, "jti": "j"}
    assert next_of(claims)["jti"] == A_UUID.hex
    assert next_of(claims, profile="drf-jwt")["jti"] == str(A_UUID)
    assert next_of({"tid": "x", "jti": "kept"}, jti_claim="tid")["jti"] == "kept"


def test_orig_iat_stays() -> None:
    assert next_of({"orig_iat": 5, "exp": 1}, profile="djangorestframework-jwt")["orig_iat"] == 5


@pytest.mark.parametrize(
    ("ends", "expires"),
    [(None, ISSUED + 600), (ISSUED + 599, ISSUED + 599), (ISSUED + 601, ISSUED + 600)],
    ids=["no end", "ends before", "ends behind"],
)
def test_a_successor_ends_with_its_session(ends: int | None, expires: int) -> None:
    assert next_of({"exp": 1, "iat": 1}, ends=ends)["exp"] == expires
    assert access({"exp": 1}, ends=ends, access_token_lifetime="10m")["exp"] == expires


def test_tokens_are_dated_back_and_their_ends_are_not() -> None:
    renewed = next_of({"exp": 1, "iat": 1})
    assert (renewed["iat"], renewed["exp"]) == (ISSUED - 2, ISSUED + 600)
    assert "iat" not in next_of({"exp": 1})


def test_an_access_token_begins_as_simplejwt_writes_it() -> None:
    claims = {"user_id": 1, "exp": 9, "gen": 2, "jti": "j", "sid": "s", "token_type": "refresh"}
    assert access({**claims, "role": "x"}) == {
        "token_type": "access", "exp": ISSUED + 300, "iat": ISSUED - 2, "jti": A_UUID.hex,
        "user_id": 1, "role": "x", "sid": "s",
    }  # fmt: skip
    assert list(access(claims)) == ["token_type", "exp", "iat", "jti", "user_id", "sid"]
    renamed = access({"kind": "refresh", "tid": "t"}, token_type_claim="kind", jti_claim="tid")
    assert (renamed["kind"], renamed["tid"], "jti" in renamed) == ("access", A_UUID.hex, False)


@pytest.mark.parametrize(
    ("claims", "not_before", "expected"),
    [
        ({"iat": 5, "exp": 9}, 0, {"iat": ISSUED - 2, "exp": 9, "sid": "s", "gen": 0}),
        ({"exp": 9}, 0, {"exp": 9, "sid": "s", "gen": 0}),
        ({"orig_iat": 5}, 0, {"orig_iat": 5, "sid": "s", "gen": 0}),
        ({"orig_iat": 5}, 7, {"orig_iat": 8, "sid": "s", "gen": 0}),
        ({"orig_iat": 50}, 7, {"orig_iat": 50, "sid": "s", "gen": 0}),
        ({"orig_iat": "5"}, 7, {"orig_iat": "5", "sid": "s", "gen": 0}),
    ],
    ids=["iat", "no iat", "orig_iat", "ended since", "ended before", "no number"],
)
def test_a_login_keeps_all_but_its_dates(claims: Claims, not_before: int, expected: Claims) -> None:
    own = reissued(claims, session="s", generation=0, issued=ISSUED, not_before=not_before)
    assert own == expected
    assert list(own) == list(expected)


def test_an_access_token_of_a_login_has_no_generation() -> None:
    own = reissued({"exp": 9}, session="s", generation=None, issued=ISSUED, not_before=0)
    assert own == {"exp": 9, "sid": "s"}


def test_ids_derive_from_all_that_tells_them_apart() -> None:
    ids = SuccessorIds(b"secret")
    told = [("s", 1, "refresh"), ("s", 2, "refresh"), ("t", 1, "refresh"), ("s", 1, "access")]
    found = {ids.of(*one) for one in told}
    assert len(found) == 4
    assert ids.of("s", 1, "refresh") == SuccessorIds(b"secret").of("s", 1, "refresh")
    assert SuccessorIds(b"other").of("s", 1, "refresh") not in found
    assert all(isinstance(one, UUID) for one in found)


def test_the_claims_given_are_left_alone() -> None:
    claims = {"exp": 1, "iat": 1, "jti": "j"}
    next_of(claims)
    reissued(claims, session="s", generation=0, issued=ISSUED, not_before=0)
    assert claims == {"exp": 1, "iat": 1, "jti": "j"}
