"""Every error has its answer in every profile, in that package's words."""

import json
from typing import Any

import pytest

from gateway import errors
from gateway.errors import (
    AuthenticationFailed,
    BodyInvalid,
    ClaimsUnmet,
    CrossSiteRefused,
    FieldInvalid,
    Flaw,
    GatewayError,
    GivenTokenRefused,
    KeysUnavailable,
    MethodNotAllowed,
    RateLimited,
    RequestRefused,
    RouteNotFound,
    ShuttingDown,
    StoreUnavailable,
    TooManyConnections,
    UpstreamError,
)
from gateway.profiles import Answer, Profiles, profile_of
from gateway.profiles.problem import Problem
from tests.factories import CLAIMS, issuer_config, request

PROFILES = tuple(CLAIMS)

ERRORS: list[GatewayError] = [
    *(AuthenticationFailed(flaw, issuer="one") for flaw in Flaw),
    ClaimsUnmet(issuer="one"),
    *(
        GivenTokenRefused(flaw, issuer="one", endpoint=endpoint)
        for flaw in Flaw
        for endpoint in ("refresh", "verify", "blacklist")
    ),
    MethodNotAllowed("GET", issuer="one"),
    BodyInvalid("JSON parse error - why", issuer="one"),
    BodyInvalid('Unsupported media type "text/plain" in request.', issuer="one", status=415),
    FieldInvalid("refresh", "This field is required.", issuer="one"),
    FieldInvalid("", "No data provided", issuer="one"),
    CrossSiteRefused(issuer="one"),
    RateLimited(issuer="one", retry_after=30),
    StoreUnavailable(issuer="one"),
    KeysUnavailable(issuer="one", retry_after=7),
    *(RequestRefused(status, "r", "why not") for status in (400, 405, 413, 414, 429, 431)),
    RouteNotFound(),
    ShuttingDown(),
    TooManyConnections(),
    UpstreamError.refused(),
    UpstreamError.broken(),
    UpstreamError.timeout(),
    UpstreamError.saturated(),
    GatewayError("something broke"),
]


def fields(answer: Answer) -> dict[str, str]:
    names = [name for name, _ in answer.headers]
    assert len(set(names)) == len(names)
    return {name.decode(): value.decode() for name, value in answer.headers}


def render(profile: str, error: GatewayError, **settings: Any) -> Answer:
    config = issuer_config(profile=profile, **settings)
    return profile_of("one", config).render(error, accept=None, query=b"")


def test_the_list_above_has_every_error() -> None:
    tree = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, GatewayError)
    }
    assert tree == {type(error) for error in ERRORS}


def name_of(error: GatewayError) -> str:
    where = [getattr(error, name, "") for name in ("endpoint", "field")]
    flaw = getattr(error, "flaw", None)
    words = (type(error).__name__, error.status, flaw.name if flaw else error.reason, *where)
    return " ".join(str(word) for word in words if word)


def status_of(profile: str, error: GatewayError) -> int:
    """The status that this package answers, where it is not the error's own."""
    if isinstance(error, GivenTokenRefused):
        is_verified = error.endpoint == "verify" and error.flaw is Flaw.REVOKED
        if profile in ("drf-jwt", "djangorestframework-jwt"):
            return 400
        return 400 if profile == "simplejwt" and is_verified else 401
    if profile == "drf-jwt" and error.reason == "token_revoked":
        return 403
    return error.status


@pytest.mark.parametrize("error", ERRORS, ids=name_of)
@pytest.mark.parametrize("profile", [*PROFILES, "problem"])
def test_every_error_renders_in_every_profile(profile: str, error: GatewayError) -> None:
    answer = Problem().render(error) if profile == "problem" else render(profile, error)
    found = fields(answer)
    said = json.loads(answer.body)
    assert answer.status == status_of(profile, error)
    assert found["content-length"] == str(len(answer.body))
    assert all(said.values())
    assert isinstance(said["detail"], str) if "detail" in said else answer.status == 400
    assert ("www-authenticate" in found) == (
        profile != "problem"
        and (answer.status == 401 or (profile == "jwt" and isinstance(error, ClaimsUnmet)))
    )
    assert found.get("retry-after") == (
        str(error.retry_after) if error.retry_after is not None else None
    )
    if profile in ("jwt", "problem"):
        assert found["content-type"] == "application/problem+json"
        assert json.loads(answer.body)["code"] == error.reason
        assert json.loads(answer.body)["status"] == error.status
    else:
        assert found["content-type"] == "application/json"
        assert found["vary"] == "Accept"


DRF_WORDINGS = {
    403: "You do not have permission to perform this action.",
    404: "Not found.",
    503: "Service temporarily unavailable, try again later.",
    400: "Why not.",
    502: "The upstream gave no valid answer.",
}


@pytest.mark.parametrize("profile", PROFILES[:3])
def test_what_the_package_has_no_words_for_is_in_the_frameworks(profile: str) -> None:
    said = {
        error.status: json.loads(render(profile, error).body)["detail"]
        for error in (
            ClaimsUnmet(issuer="one"),
            RouteNotFound(),
            KeysUnavailable(issuer="one", retry_after=1),
            RequestRefused(400, "r", "why not"),
            UpstreamError.broken(),
        )
    }
    assert said == DRF_WORDINGS


@pytest.mark.parametrize("profile", PROFILES)
def test_the_challenge_names_the_first_header_type(profile: str) -> None:
    error = AuthenticationFailed(Flaw.MISSING, issuer="one")
    answer = render(profile, error, auth_header_types=["SRI", "JWT"])
    assert fields(answer)["www-authenticate"] == 'SRI realm="api"'


CHALLENGES = {
    Flaw.MISSING: "",
    Flaw.HEADER_PARTS: ', error="invalid_request"',
    Flaw.EXPIRED: ', error="invalid_token", error_description="the token has expired"',
    Flaw.INVALID: ', error="invalid_token", error_description="the token is not valid"',
}


@pytest.mark.parametrize(("flaw", "extra"), CHALLENGES.items(), ids=lambda v: str(v)[:12])
def test_a_plain_challenge_says_what_rfc_6750_says(flaw: Flaw, extra: str) -> None:
    answer = render("jwt", AuthenticationFailed(flaw, issuer="one"))
    assert fields(answer)["www-authenticate"] == f'Bearer realm="api"{extra}'


def test_a_token_without_the_claims_is_out_of_scope() -> None:
    found = fields(render("jwt", ClaimsUnmet(issuer="one")))
    assert found["www-authenticate"] == 'Bearer realm="api", error="insufficient_scope"'


SLIDING = {"token_class": "SlidingToken", "token_type": "sliding", "message": "Token is expired"}
ACCESS = {"token_class": "AccessToken", "token_type": "access", "message": "Token is expired"}
CLASSES = {
    "access": (["AccessToken"], [ACCESS]),
    "sliding": (["SlidingToken"], [SLIDING]),
    "both": (["SlidingToken", "AccessToken"], [SLIDING, ACCESS]),
}


@pytest.mark.parametrize(("classes", "messages"), CLASSES.values(), ids=CLASSES)
def test_each_class_of_tokens_has_its_say_on_a_bad_one(classes: list[str], messages: Any) -> None:
    error = AuthenticationFailed(Flaw.EXPIRED, issuer="one")
    answer = render("simplejwt", error, auth_token_classes=classes)
    assert json.loads(answer.body)["messages"] == messages


@pytest.mark.parametrize("profile", PROFILES[:3])
@pytest.mark.parametrize(("wait", "unit"), [(1, "second"), (2, "seconds")], ids=["one", "many"])
def test_who_asks_too_often_is_told_how_long_to_wait(profile: str, wait: int, unit: str) -> None:
    answer = render(profile, RateLimited(issuer="one", retry_after=wait))
    assert json.loads(answer.body) == {
        "detail": f"Request was throttled. Expected available in {wait} {unit}."
    }
    assert fields(answer)["retry-after"] == str(wait)


def test_a_plain_refusal_of_a_given_token_says_why() -> None:
    error = GivenTokenRefused(Flaw.WRONG_TYPE, issuer="one", endpoint="refresh")
    answer = render("jwt", error)
    assert json.loads(answer.body)["code"] == "token_wrong_type"
    assert fields(answer)["www-authenticate"] == (
        'Bearer realm="api", error="invalid_token", '
        'error_description="the token is of the wrong type"'
    )


def test_a_plain_problem_names_the_field_and_what_is_wrong_with_it() -> None:
    error = FieldInvalid("refresh", "This field is required.", issuer="one")
    assert json.loads(render("jwt", error).body)["detail"] == "refresh: This field is required."


def test_more_header_fields_come_before_the_length() -> None:
    answer = render("jwt", RouteNotFound()).with_headers((b"allow", b"POST, OPTIONS"))
    assert [name for name, _ in answer.headers] == [b"content-type", b"allow", b"content-length"]


def test_a_revoked_token_is_worded_as_each_package_words_a_blacklisted_one() -> None:
    error = AuthenticationFailed(Flaw.REVOKED, issuer="one")
    simple = json.loads(render("simplejwt", error).body)
    assert simple["messages"][0]["message"] == "Token is blacklisted"
    assert json.loads(render("drf-jwt", error).body) == {"detail": "Token is blacklisted."}


def test_negotiation_fails_before_anything_else() -> None:
    profile = profile_of("one", issuer_config())
    error = AuthenticationFailed(Flaw.EXPIRED, issuer="one")
    answer = profile.render(error, accept=b"application/xml", query=b"")
    assert answer.status == 406
    assert "www-authenticate" not in fields(answer)


def test_an_indent_is_kept_in_nested_bodies() -> None:
    profile = profile_of("one", issuer_config())
    error = AuthenticationFailed(Flaw.EXPIRED, issuer="one")
    answer = profile.render(error, accept=b"application/json; indent=2", query=b"")
    assert answer.body.startswith(b'{\n  "detail": "Given token')


CREDENTIALS: dict[str, dict[bytes, bytes | Flaw | None]] = {
    "simplejwt": {
        b"": None,
        b"Bearer a.b.c": b"a.b.c",
        b"Bearer  a.b.c": b"a.b.c",
        b"Bearer\ta.b.c": b"a.b.c",
        b"bearer a.b.c": None,
        b"BEARER a.b.c": None,
        b"Bearer": Flaw.HEADER_EMPTY,
        b"Bearer a b": Flaw.HEADER_PARTS,
        b"Bearer a,Bearer b": Flaw.HEADER_PARTS,
        b"Bearer a, b": Flaw.HEADER_PARTS,
        b"Bearer \xa0": b"\xa0",
        b"Basic abc": None,
        b"a.b.c": None,
    },
    "drf-jwt": {
        b"": None,
        b"Bearer a.b.c": b"a.b.c",
        b"bEARER a.b.c": b"a.b.c",
        b"Bearer  a.b.c": None,
        b"Bearer\ta.b.c": None,
        b"Bearer": None,
        b"Bearer ": None,
        b"Bearer a b": None,
        b"Bearer a,Bearer b": None,
        b"Bearer a,b": b"a,b",
        b"Bearer caf\xe9": None,
        "Bearer café".encode(): "café".encode(),
        b"Basic abc": None,
    },
    "djangorestframework-jwt": {
        b"": None,
        b"JWT a.b.c": b"a.b.c",
        b"jwt a.b.c": b"a.b.c",
        b"JWT  a.b.c": b"a.b.c",
        b"JWT\ta.b.c": b"a.b.c",
        b"JWT": Flaw.HEADER_EMPTY,
        b"JWT a b": Flaw.HEADER_PARTS,
        b"Bearer a.b.c": None,
    },
    "jwt": {
        b"": None,
        b"Bearer a.b.c": b"a.b.c",
        b"bearer a.b.c": b"a.b.c",
        b"Bearer": Flaw.HEADER_EMPTY,
        b"Bearer a b": Flaw.HEADER_PARTS,
        b"DPoP a.b.c": None,
    },
}


@pytest.mark.parametrize(
    ("profile", "value", "expected"),
    [(name, value, expected) for name, t in CREDENTIALS.items() for value, expected in t.items()],
)
def test_credentials_are_read_as_the_package_reads_them(
    profile: str, value: bytes, expected: bytes | Flaw | None
) -> None:
    reader = profile_of("one", issuer_config(profile=profile))
    if isinstance(expected, Flaw):
        with pytest.raises(AuthenticationFailed) as caught:
            reader.credentials(value)
        assert (caught.value.flaw, caught.value.issuer) == (expected, "one")
    else:
        assert reader.credentials(value) == expected


def test_an_error_is_worded_by_its_issuer_and_else_is_a_problem() -> None:
    configs = {
        "students": issuer_config(),
        "employees": issuer_config(profile="djangorestframework-jwt"),
    }
    profiles = Profiles(configs)
    head = request(("Accept", "application/json"))
    for name, scheme in (("students", "Bearer"), ("employees", "JWT")):
        answer = profiles.render(AuthenticationFailed(Flaw.MISSING, issuer=name), head)
        assert fields(answer)["www-authenticate"] == f'{scheme} realm="api"'
    assert fields(profiles.render(RouteNotFound(), head))["content-type"] == (
        "application/problem+json"
    )
