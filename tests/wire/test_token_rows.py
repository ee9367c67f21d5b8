"""What the gateway answers at the token endpoints equals what the packages answered.

Status, body, Content-Type, WWW-Authenticate, Allow, Location and Vary are those of the recording,
and so are the tokens' headers and claims, but for `sid` and `gen`, which name the session. Each
exception stands in KNOWN_DIFFERENCES with its reason.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.factories import Claims, private_pem, rsa_key
from tests.wire.recipes import RECORDINGS, Row, TokenRun, recording, rows
from tests.wire.replay import Outcome, header_and_claims, replayed

_STAYS: dict[str, Any] = {"rotate_refresh_tokens": False}
_SIMPLE: dict[str, Any] = {"profile": "simplejwt"}
_WEEK: dict[str, Any] = {"refresh_token_lifetime": "7d"}
_RSA: dict[str, Any] = {"algorithm": "RS256", "signing_key": private_pem(rsa_key())}
RUNS = [
    TokenRun("sj55-default", _SIMPLE | _STAYS),
    TokenRun("sj55-rotate_blacklist", _SIMPLE),
    TokenRun("sj55-blacklistapp_norotate", _SIMPLE | _STAYS, login="sj55-rotate_blacklist"),
    TokenRun("sj55-cors", _SIMPLE),
    TokenRun("sj55-sliding", _SIMPLE | {"auth_token_classes": ["SlidingToken"]}),
    TokenRun("sj52-rotate_blacklist", _SIMPLE | {"profile_version": "5.2"}),
    TokenRun("sj55-rs256", _SIMPLE | _STAYS | _RSA, login="sj55-rotate_blacklist"),
    TokenRun("dj-default", {"profile": "drf-jwt"} | _WEEK),
    TokenRun("dj-blacklist", {"profile": "drf-jwt"} | _WEEK),
    TokenRun("lj-allow_refresh", {"profile": "djangorestframework-jwt"} | _WEEK),
]
ALL = [(run, row) for run in RUNS for row in run.rows()]

PATH = "the gateway does not know the upstream's URLs; a route that wants a token wants it first"
SLASHES = "a path that can be read in two ways is refused, and never folded"
TRACE = "TRACE is refused everywhere: it would echo a client's credentials"
CORS = "the gateway's own answers have CORS fields on routes with `cors`, which this run has not"
USER = "only the upstream knows its users; with `check_user` it is asked at a refresh"
GRACE = (
    "within `refresh_grace` the token before the newest one stands: who refreshes twice at a time, "
    "or once more after a lost answer, gets the same successor"
)
SHARED_ID = (
    "an access token with the id of a refresh token that was spent before: the package's blacklist "
    "does not tell them apart"
)
ENDED = "a logout ends the session, also where the package has no blacklist or does not look it up"
ACCESS = "a logout ends the session's access tokens too"
HEADER = "the token's own header stays: by its `kid` and `typ` others may choose key and rules"
REBUILT = (
    "the package writes the claims anew from its database; the gateway keeps those of the token, "
    "in their order, also custom ones"
)
RENEWED = "release 5.2 keeps the first `iat` at a rotation; the gateway renews it, as 5.5 does"
CRIT = (
    "RFC 7515 §4.1.11: what is marked critical and not understood is refused; old PyJWT let it by"
)

_FULL = [run.name for run in RUNS if not run.login]
_PAIRS = [name for name in _FULL if name.startswith("sj5") and name != "sj55-sliding"]
_OLDER = ["dj-default", "dj-blacklist", "lj-allow_refresh"]
_FORGED = (
    ["custom claims preserved", "iss present/unexpected", "kid header", "typ header at+jwt"]
    + [f"no {name} claim" for name in ("exp", "jti", "token_type", "user_id")]
    + ["user_id int", "user_id not a number", "exp float", "exp string", "exp huge 1e12"]
)


def at(runs: list[str], group: str, *cases: str) -> list[tuple[str, str, str]]:
    return [(name, group, case) for name in runs for case in cases]


_REASONS: dict[str, list[tuple[str, str, str]]] = {
    TRACE: at(_FULL, "login", "TRACE"),
    SLASHES: at(_FULL, "slash", "POST double slash"),
    PATH: at(
        _FULL,
        "slash",
        "GET api without slash, valid token",
        "POST unknown path",
        "POST login upper case",
    ),
    CORS: at(
        ["sj55-cors"], "cors", "refresh garbage with Origin", "login without slash with Origin"
    ),
    USER: [
        *at(
            [name for name in _PAIRS if name != "sj52-rotate_blacklist"],
            "refresh",
            "user deleted",
            "user inactive",
            "user_id not a number",
        ),
        *at(_OLDER, "refresh", "user deleted", "user inactive"),
        *at(_OLDER, "verify", "user deleted", "user inactive"),
    ],
    GRACE: at(
        [name for name in _PAIRS if name != "sj55-default"],
        "refresh",
        "same token again (after rotation)",
    ),
    SHARED_ID: at(["sj52-rotate_blacklist"], "verify", "jti int"),
    ENDED: [
        *at(
            ["sj55-default", "sj55-rs256"],
            "blacklist",
            "same again",
            "refresh with blacklisted",
            "verify blacklisted",
        ),
        ("sj55-blacklistapp_norotate", "blacklist", "verify blacklisted"),
    ],
    ACCESS: at(_PAIRS, "blacklist", "access of the blacklisted session still works"),
    HEADER: at(
        [*_PAIRS, "sj55-blacklistapp_norotate", "sj55-sliding"],
        "refresh",
        "kid header",
        "typ header at+jwt",
    ),
    REBUILT: [
        *at(_OLDER, "refresh", *_FORGED),
        *at(["lj-allow_refresh"], "refresh", "iat in future", "jti int", "sub int"),
    ],
    RENEWED: at(
        ["sj52-rotate_blacklist"],
        "refresh",
        "custom claims preserved",
        "no user_id claim",
        "no username claim",
        "user_id int",
        "user_id not a number",
        "user deleted",
        "user inactive",
        "exp float",
        "jti int",
        "sub int",
        "aud present/unexpected",
        "iss present/unexpected",
    ),
    CRIT: [
        (name, group, "crit header")
        for name in ("sj52-rotate_blacklist", "lj-allow_refresh")
        for group in ("refresh", "verify")
    ],
}
# In what alone such a row may differ; of the others the whole answer is another one.
_CONCERNED = {
    CORS: ("access-control-allow-origin",),
    HEADER: ("header", "life"),  # 5.2: see RENEWED
    REBUILT: ("claims", "header"),
    RENEWED: ("life",),
}
KNOWN_DIFFERENCES = {place: reason for reason, places in _REASONS.items() for place in places}


def place_of(run: TokenRun, row: Row) -> tuple[str, str, str]:
    return run.name, row["group"], row["case"]


# Comparison

_FIELDS = ("content-type", "www-authenticate", "location", "access-control-allow-origin")
_PK = re.compile(r'("pk": ?)[0-9]+')  # drf-jwt's is the time of issue
# What a package says where another one, or another release, fails with status 500.
_ORDINARY = {
    "simplejwt": '{"detail":"Token is invalid","code":"token_not_valid"}',
    "drf-jwt": '{"non_field_errors":["Invalid token."]}',
    "djangorestframework-jwt": '{"non_field_errors":["Error decoding signature."]}',
}
_ORDINARY_5_2 = '{"detail":"Token is invalid or expired","code":"token_not_valid"}'
_NO_ID = '{"detail":"Token has no id","code":"token_not_valid"}'
_OF_THE_MOMENT = {"exp", "iat", "jti", "orig_iat", "orig_jti", "refresh_exp"}
_ACCESS_LIFE = 300  # seconds, as recorded
_BACKDATED = 2  # seconds that an iat is in the past: the clock of an upstream may lag


@cache
def outcomes(run: TokenRun) -> list[Outcome]:
    return asyncio.run(replayed(run))


def faults(run: TokenRun, outcome: Outcome) -> list[str]:
    """In what the answer differs from the recording."""
    if outcome.row["response"]["status"] == 500:
        return list(not_ordinary(run, outcome))
    return [*faults_of_answer(run, outcome), *faults_of_tokens(run, outcome)]


def not_ordinary(run: TokenRun, outcome: Outcome) -> Iterator[str]:
    """Where the package failed, its ordinary refusal is due."""
    due = 401 if run.profile == "simplejwt" else 400
    if outcome.heard.status != due:
        yield f"status {outcome.heard.status}"
    wording = _ORDINARY_5_2 if "profile_version" in run.settings else _ORDINARY[run.profile]
    if run.profile == "simplejwt" and outcome.row["case"] == "no jti claim":
        wording = _NO_ID
    if outcome.heard.body.decode() != wording:
        yield f"body {outcome.heard.body!r}"


def faults_of_answer(run: TokenRun, outcome: Outcome) -> Iterator[str]:
    heard, recorded = outcome.heard, outcome.row["response"]
    if heard.status != recorded["status"]:
        yield f"status {heard.status}"
    body = heard.body.decode()
    for number, token in enumerate(heard.tokens):
        body = body.replace(token, f"<JWT{number}>")
    if _PK.sub(r"\1", body) != _PK.sub(r"\1", recorded["body"]):
        yield f"body {body!r}"
    headers = {name.lower(): value for name, value in recorded["headers"]}
    path = outcome.row["request"]["path"].partition("?")[0]
    # Of an API view the gateway does not know the methods.
    for name in (*_FIELDS, "allow") if path in run.endpoints.values() else _FIELDS:
        if heard.headers.get(name) != headers.get(name):
            yield f"{name} {heard.headers.get(name)!r}"
    if "accept" in headers.get("vary", "").lower() and "Accept" not in heard.headers.get(
        "vary", ""
    ):
        yield f"vary {heard.headers.get('vary')!r}"


def faults_of_tokens(run: TokenRun, outcome: Outcome) -> Iterator[str]:
    row, found = outcome.row, outcome.heard.tokens
    # Of pages the recording has the beginning alone, without tokens.
    due = row["response"].get("jwts", ()) if "<JWT" in row["response"]["body"] else ()
    if len(found) != len(due):
        yield f"{len(found)} tokens"
        return
    is_echo = row["request"]["path"] in (run.endpoints["verify"], run.endpoints["blacklist"])
    if is_echo and found and found != [outcome.presented]:
        yield "another token than the one presented"
    for token, minted in zip(found, due, strict=True):
        header, claims = header_and_claims(token)
        if header != minted["header"]:
            yield f"header {header}"
        names = [name for name in claims if name not in ("sid", "gen")]
        if names != list(minted["claims"]):
            yield f"claims {' '.join(claims)}"
        if not is_echo:
            yield from faults_of_claims(claims, minted["claims"], outcome.at)
            yield from lost(claims, outcome.presented)


def faults_of_claims(claims: Claims, recorded: Claims, asked: float) -> Iterator[str]:
    """What is wrong with the claims of a token that the gateway made."""
    is_access = claims.get("token_type") == "access"
    if not claims.keys() >= ({"sid"} if is_access else {"sid", "gen"}):
        yield "no session is named"
    for name in claims.keys() & recorded.keys() - _OF_THE_MOMENT:
        if claims[name] != recorded[name]:
            yield f"claims: {name} {claims[name]!r}"
    if "iat" in recorded:
        longer = (claims["exp"] - claims["iat"]) - (recorded["exp"] - recorded["iat"])
        if not 0 <= longer <= _BACKDATED + 1:  # a second turned while some were recorded
            yield f"life: {longer} s longer"
    elif abs(claims["exp"] - asked - _ACCESS_LIFE) > 5:
        yield f"exp {claims['exp']}"


def lost(claims: Claims, presented: str) -> Iterator[str]:
    """Which claims of the token that was spent its successor does not have."""
    if not presented:
        return
    _, parent = header_and_claims(presented)
    for name in parent.keys() - {"exp", "iat", "jti", "token_type", "gen"}:
        if claims.get(name) != parent[name]:
            yield f"lost: {name}"
    if "orig_jti" in claims and claims["orig_jti"] != parent.get("orig_jti", parent["jti"]):
        yield f"orig_jti {claims['orig_jti']}"


@pytest.mark.parametrize(
    ("run", "number"),
    [
        pytest.param(run, number, id=f"{run.name}: {row['group']}: {row['case']}")
        for run in RUNS
        for number, row in enumerate(run.rows())
    ],
)
def test_the_answer_equals_the_recording(run: TokenRun, number: int) -> None:
    outcome = outcomes(run)[number]
    differences = faults(run, outcome)
    reason = KNOWN_DIFFERENCES.get(place_of(run, outcome.row))
    if reason is None:
        assert not differences
    else:
        assert differences, "this difference is gone: take it off the table"
        assert all(one.startswith(_CONCERNED.get(reason, ("",))) for one in differences)


# Counts


def test_the_counts_of_matching_rows_are_as_published() -> None:
    counts = Counter(KNOWN_DIFFERENCES.get(place_of(run, row), "matched") for run, row in ALL)
    assert counts == {
        "matched": 1223,
        REBUILT: 42,
        PATH: 24,
        USER: 21,
        HEADER: 12,
        RENEWED: 12,
        TRACE: 8,
        SLASHES: 8,
        ENDED: 7,
        ACCESS: 4,
        CRIT: 4,
        GRACE: 3,
        CORS: 2,
        SHARED_ID: 1,
    }


def test_every_known_difference_is_of_a_recorded_row() -> None:
    assert KNOWN_DIFFERENCES.keys() <= {place_of(run, row) for run, row in ALL}


def test_every_recorded_run_with_rows_of_token_endpoints_is_replayed() -> None:
    names = {path.stem for path in RECORDINGS.glob("*-*.json")}
    assert {n for n in names if rows(n, "refresh")} == {run.name for run in RUNS}


def blocks() -> dict[str, str]:
    """The tables of docs/wire-compatibility.md by the names of their marks."""
    runs = ["| run | answered alike | known differences |", "|---|---|---|"]
    total: Counter[bool] = Counter()
    for run in RUNS:
        counts = Counter(place_of(run, row) in KNOWN_DIFFERENCES for row in run.rows())
        total += counts
        runs.append(f"| `{run.name}` | {counts[False]} | {counts[True]} |")
    runs.append(f"| **all** | **{total[False]}** | **{total[True]}** |")
    differences = ["| rows | recorded cases | reason |", "|---|---|---|"]
    for reason, places in sorted(_REASONS.items(), key=lambda item: -len(item[1])):
        cases = "<br>".join(sorted({f"{group}: `{case}`" for _, group, case in places}))
        differences.append(f"| {len(places)} | {cases} | {reason} |")
    return {
        "token runs": "\n".join(runs) + "\n",
        "token differences": "\n".join(differences) + "\n",
    }


def test_recordings_tell_what_they_were_made_from() -> None:
    for run in RUNS:
        assert recording(run.name)["meta"]["run"] == run.name
