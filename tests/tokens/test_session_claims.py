"""What a token's claims tell of its session."""

import hashlib
from typing import Any

import pytest

from gateway.errors import Flaw
from gateway.tokens.jws import FlawError
from gateway.tokens.session_claims import BACKDATED, generation_of, issued_at, session_of

JTI = ("jti",)


@pytest.mark.parametrize(
    ("claims", "ids", "session"),
    [
        ({"sid": "s", "jti": "j"}, JTI, "s"),
        ({"jti": "j", "sid": "s"}, JTI, "s"),
        ({"jti": "j"}, JTI, "j"),
        ({"jti": 7}, JTI, "7"),
        ({"token_id": "t", "jti": "j"}, ("token_id",), "t"),
        ({"jti": "j", "orig_jti": "o"}, ("jti", "orig_jti"), "o"),
        ({"jti": "j", "orig_jti": "o", "sid": "s"}, ("jti", "orig_jti"), "s"),
        ({"jti": "j", "orig_jti": "o"}, JTI, "j"),
        ({"jti": "j", "orig_iat": 5}, JTI, "j"),
        ({"user_id": 1}, JTI, None),
    ],
    ids=[
        "sid", "sid, whatever the order", "jti", "a number", "another claim for the id",
        "the first id of a family", "sid before that", "orig_jti of other packages",
        "an id before the oldest way", "nothing",
    ],
)  # fmt: skip
def test_the_session_is_named_by(
    claims: dict[str, Any], ids: tuple[str, ...], session: str | None
) -> None:
    assert session_of(claims, "u", id_claims=ids, refreshes=False) == session


def test_the_oldest_tokens_are_told_apart_by_user_and_second() -> None:
    def session(user: str, orig_iat: object) -> str | None:
        return session_of({"orig_iat": orig_iat}, user, id_claims=JTI, refreshes=False)

    assert session("1", 5) == hashlib.sha256(b"1\n5").hexdigest()[:32]
    assert len({session("1", 5), session("1", 6), session("2", 5), session("1\n5", "")}) == 4


@pytest.mark.parametrize("claim", ["jti", "sid"])
@pytest.mark.parametrize(
    "value", ["", "a\n", "\0", "x" * 256, None, 1.5, True, [], {}, "\u200f"], ids=repr
)
def test_what_is_no_name_is_refused(claim: str, value: object) -> None:
    with pytest.raises(FlawError) as caught:
        session_of({"sid": "s", "jti": "j", claim: value}, "u", id_claims=JTI, refreshes=False)
    assert caught.value.flaw is Flaw.INVALID


@pytest.mark.parametrize(
    ("claims", "is_ours", "issued"),
    [
        ({"iat": 100, "sid": "s"}, True, 100 + BACKDATED),
        ({"iat": 100}, True, 100),
        ({"iat": 100, "sid": "s"}, False, 100),
        ({"iat": 100, "orig_iat": 50}, False, 100),
        ({"orig_iat": 50, "sid": "s"}, True, 50),
        ({"iat": "100"}, False, 100),
        ({"iat": 100.9}, False, 100),
        ({}, True, None),
        ({"iat": None}, True, None),
        ({"iat": "x"}, True, None),
        ({"iat": float("inf")}, True, None),
        ({"iat": [1]}, True, None),
    ],
    ids=[
        "ours: dated back", "the app's", "another's sid", "iat before orig_iat", "the oldest",
        "text", "a fraction", "nothing", "null", "no number", "infinite", "a list",
    ],
)  # fmt: skip
def test_when_it_was_issued(claims: dict[str, Any], is_ours: bool, issued: float | None) -> None:
    assert issued_at(claims, is_ours=is_ours) == issued


@pytest.mark.parametrize(
    ("claims", "is_single", "generation"),
    [
        ({"sid": "s", "gen": 0}, False, 0),
        ({"sid": "s", "gen": 2**53 - 1}, False, 2**53 - 1),
        ({"sid": "s"}, False, None),
        ({"gen": 3}, False, None),
        ({"gen": "x"}, False, None),
        ({"sid": "s", "gen": None}, False, None),
        ({}, True, 0),
        ({"sid": "s", "gen": 4}, True, 4),
    ],
    ids=["first", "last", "no gen", "no sid", "an app's own gen", "null", "adopted", "single"],
)
def test_the_generation(claims: dict[str, Any], is_single: bool, generation: int | None) -> None:
    assert generation_of(claims, is_single=is_single) == generation


@pytest.mark.parametrize(
    "value", [-1, 2**53, 10**400, 1.0, True, "1", [], {}, float("inf")], ids=lambda v: repr(v)[:20]
)
def test_what_is_no_generation_is_refused(value: object) -> None:
    with pytest.raises(FlawError):
        generation_of({"sid": "s", "gen": value}, is_single=False)
