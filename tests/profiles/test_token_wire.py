"""The answers of the token endpoints are, byte for byte, those that the packages gave."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.errors import (
    AuthenticationFailed,
    Flaw,
    GatewayError,
    GivenTokenRefused,
    MethodNotAllowed,
)
from gateway.profiles import Answer, Content, profile_of, token_wire_of
from tests.factories import CLAIMS, issuer_config
from tests.profiles.wire_form import (
    ALLOW,
    BODY_CASES,
    RUNS,
    Run,
    differences,
    endpoint_of,
    endpoint_rows,
)
from tests.wire.recipes import Row

# What was wrong with the token of each case.
FLAWS = {
    **dict.fromkeys(
        [
            "int",
            "non-ascii token",
            "garbage",
            "garbage 'abc'",
            "garbage a.b.c",
            "wrong signature",
            "signature stripped",
            "payload tampered",
            "exp not a number",
        ],
        Flaw.UNDECODABLE,
    ),
    **dict.fromkeys(
        [
            "alg none",
            "alg HS512 same key",
            "iat in future",
            "nbf in future",
            "jti int",
            "sub int",
            "crit header",
            "aud present/unexpected",
        ],
        Flaw.INVALID,
    ),
    **dict.fromkeys(
        ["expired", "exp == now-1s boundary", "expired 10s (leeway probe)"], Flaw.EXPIRED
    ),
    **dict.fromkeys(
        [
            "same token again (after rotation)",
            "same again",
            "refresh with blacklisted",
            "verify blacklisted",
            "rotated-away (blacklisted if conf) refresh token",
        ],
        Flaw.REVOKED,
    ),
    "no exp claim": Flaw.NO_EXPIRY,
    "no jti claim": Flaw.NO_ID,
    "no token_type claim": Flaw.NO_TYPE,
    "no username claim": Flaw.NO_USER,
    "access token given": Flaw.WRONG_TYPE,
    "orig_iat missing": Flaw.NO_ORIGIN,
    "orig_iat older than 7 days": Flaw.REFRESH_EXPIRED,
    "refresh_exp missing": Flaw.NO_REFRESH_EXPIRY,
    "refresh_exp passed": Flaw.REFRESH_EXPIRED,
    "user inactive": Flaw.NO_ACCOUNT,
    "user deleted": Flaw.NO_ACCOUNT,
}
IN_RUN = {
    # Sliding tokens were given to the blacklist of refresh tokens.
    ("sj55-sliding", "ok"): Flaw.WRONG_TYPE,
    ("sj55-sliding", "same again"): Flaw.WRONG_TYPE,
    # The token with this id had been rotated by the row before.
    ("sj52-rotate_blacklist", "jti int"): Flaw.REVOKED,
}
ONE_WORD = "the upstream's word on the user is one: it does not tell deleted from inactive"
KNOWN_DIFFERENCES = {
    (run, "user deleted"): ONE_WORD for run in ("dj-default", "dj-blacklist", "lj-allow_refresh")
}


def recorded(*, crashed: bool) -> list[Any]:
    """Rows of good bodies; `crashed` where the package failed with them."""
    return [
        pytest.param(run, row, id=f"{run.name}: {endpoint_of(row)} {row['case']}")
        for run in RUNS
        for row in endpoint_rows(run, "refresh", "verify", "blacklist")
        if row["case"] not in BODY_CASES and (row["response"]["status"] == 500) == crashed
    ]


def refuse(run: Run, error: GatewayError) -> Answer:
    return run.profile.render(error, accept=None, query=b"").with_headers(ALLOW)


def succeed(run: Run, row: Row) -> Content:
    """What the gateway says where the package succeeded; tokens stand as in the recording."""
    said: Mapping[str, Any] = json.loads(row["response"]["body"])
    claims = {"iat": said.get("pk")}
    match endpoint_of(row):
        case "refresh":
            access, refresh = said.get("access") or said["token"], said.get("refresh")
            return run.wire.refreshed(access=access, refresh=refresh, claims=claims)
        case "verify":
            return run.wire.verified("<JWT0>", claims)
    return run.wire.blacklisted("<JWT0>")


def answer(run: Run, row: Row) -> Answer:
    method, case, endpoint = row["request"]["method"], row["case"], endpoint_of(row)
    if method == "OPTIONS":
        return run.write(run.wire.described(endpoint))
    if method != "POST":
        return refuse(run, MethodNotAllowed(method, issuer="one"))
    if row["response"]["status"] < 300:
        return run.write(succeed(run, row))
    if case == "no auth":
        return refuse(run, AuthenticationFailed(Flaw.MISSING, issuer="one"))
    flaw = IN_RUN.get((run.name, case)) or FLAWS[case]
    return refuse(run, GivenTokenRefused(flaw, issuer="one", endpoint=endpoint))


@pytest.mark.parametrize(("run", "row"), recorded(crashed=False))
def test_the_answer_equals_the_recording(run: Run, row: Row) -> None:
    found = differences(answer(run, row), row)
    if (run.name, row["case"]) in KNOWN_DIFFERENCES:
        assert found, "this difference is gone: take it off the table"
    else:
        assert not found


@pytest.mark.parametrize(("run", "row"), recorded(crashed=True))
def test_where_the_package_crashed_the_token_is_refused(run: Run, row: Row) -> None:
    flaw = FLAWS.get(row["case"], Flaw.INVALID)
    error = GivenTokenRefused(flaw, issuer="one", endpoint=endpoint_of(row))
    found = refuse(run, error)
    is_simple = run.config.profile == "simplejwt"
    assert found.status == (401 if is_simple else 400)
    assert next(iter(json.loads(found.body))) == ("detail" if is_simple else "non_field_errors")


def test_every_case_of_the_table_is_recorded() -> None:
    cases = {row["case"] for run in RUNS for row in endpoint_rows(run, "refresh", "verify")}
    cases |= {row["case"] for run in RUNS for row in endpoint_rows(run, "blacklist")}
    assert FLAWS.keys() <= cases


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_login_describes_itself_and_refuses_other_methods_as_recorded(run: Run) -> None:
    rows = [
        r for r in endpoint_rows(run, "login") if r["request"]["method"] not in ("POST", "HEAD")
    ]
    assert rows or run.name == "sj55-blacklistapp_norotate"
    assert [differences(answer(run, row), row) for row in rows] == [[] for _ in rows]


FIELDS = {
    "simplejwt": ("access refresh", "refresh", "refresh"),
    "drf-jwt": ("token", "token", "token"),
    "djangorestframework-jwt": ("token", "token", "token"),
    "jwt": ("access refresh", "refresh", "refresh"),
}


@pytest.mark.parametrize(("profile", "names"), FIELDS.items(), ids=FIELDS)
def test_tokens_come_and_go_under_the_packages_names(
    profile: str, names: tuple[str, str, str]
) -> None:
    wire = token_wire_of("one", issuer_config(profile=profile))
    assert (" ".join(wire.pair_names), wire.refresh_field, wire.blacklist_field) == names
    assert (wire.issuer, wire.verify_field) == ("one", "token")


def test_a_sliding_token_is_a_single_one() -> None:
    wire = token_wire_of("one", issuer_config(auth_token_classes=["SlidingToken"]))
    assert (wire.pair_names, wire.refresh_field) == (("token",), "token")


def test_an_api_that_takes_sliding_tokens_besides_has_pairs() -> None:
    config = issuer_config(auth_token_classes=["AccessToken", "SlidingToken"])
    assert token_wire_of("one", config).pair_names == ("access", "refresh")


@pytest.mark.parametrize("profile", CLAIMS)
@pytest.mark.parametrize("endpoint", ["obtain", "refresh", "verify", "blacklist", "blacklist_all"])
def test_every_endpoint_describes_itself_in_every_profile(profile: str, endpoint: str) -> None:
    config = issuer_config(profile=profile)
    said = token_wire_of("one", config).described(endpoint)
    found = profile_of("one", config).content(said, accept=None, query=b"")
    assert found.status == 200
    assert list(json.loads(found.body))[:4] == ["name", "description", "renders", "parses"]


@pytest.mark.parametrize("profile", CLAIMS)
def test_the_end_of_all_sessions_is_answered_like_the_end_of_one(profile: str) -> None:
    said = token_wire_of("one", issuer_config(profile=profile)).all_blacklisted()
    assert (said.status, said.content) == (201 if profile == "drf-jwt" else 200, {})


NEGOTIATED = {
    "an indent": (b"application/json; indent=4", b"", 200, b'{\n    "access": "a"\n}'),
    "a type": (
        b"application/xml",
        b"",
        406,
        b'{"detail":"Could not satisfy the request Accept header."}',
    ),
    "a format": (None, b"format=xml", 404, b'{"detail":"Not found."}'),
}


@pytest.mark.parametrize(("accept", "query", "status", "body"), NEGOTIATED.values(), ids=NEGOTIATED)
def test_success_is_negotiated_as_errors_are(
    accept: bytes | None, query: bytes, status: int, body: bytes
) -> None:
    found = RUNS[0].profile.content(Content(200, {"access": "a"}), accept=accept, query=query)
    assert (found.status, found.body) == (status, body)
    assert (b"vary", b"Accept") in found.headers


def test_plain_jwt_answers_json_whatever_is_asked_for() -> None:
    profile = profile_of("one", issuer_config(profile="jwt"))
    found = profile.content(Content(200, {"access": "a"}), accept=b"text/html", query=b"")
    assert (found.status, found.body) == (200, b'{"access":"a"}')
    assert (b"content-type", b"application/json") in found.headers


def test_tokens_are_not_shown_in_a_repr() -> None:
    assert repr(Content(200, {"access": "secret"})) == "<Content 200 access>"
