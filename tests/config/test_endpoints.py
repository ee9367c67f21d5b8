"""Which token paths are answered for which issuer, and what the file is told about the rest."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, IssuerConfig, served_endpoints, upstream_of
from gateway.config.checks import doubts
from gateway.config.parts import Parts
from tests.config.samples import SECRET, faults_of, file_with, load_text

DEFAULTS = ["/gettoken/", "/refreshtoken/", "/verifytoken/", "/logout/"]


def an_issuer(**settings: Any) -> IssuerConfig:
    return IssuerConfig.model_validate({"signing_key": SECRET, **settings})


def served(
    issuers: dict[str, IssuerConfig], upstreams: tuple[str, ...] = ("students",)
) -> list[tuple[str, str, str]]:
    return [(one.issuer, one.key, one.path) for one in served_endpoints(issuers, upstreams)]


def test_an_issuer_has_the_default_paths() -> None:
    found = served({"students": an_issuer()})
    assert [path for _, _, path in found] == DEFAULTS


def test_plain_jwt_has_none() -> None:
    assert served({"students": an_issuer(profile="jwt")}) == []


@pytest.mark.parametrize(
    ("settings", "upstreams", "found"),
    [
        ({"upstream": "named"}, ("students", "named"), "named"),
        ({}, ("other", "students"), "students"),
        ({}, ("only",), "only"),
        ({}, ("one", "two"), None),
        ({}, (), None),
    ],
    ids=["named", "of its name", "the only one", "one of several", "none"],
)
def test_the_upstream_of_an_issuer(
    settings: dict[str, str], upstreams: tuple[str, ...], found: str | None
) -> None:
    assert upstream_of("students", an_issuer(**settings), upstreams) == found


@pytest.mark.parametrize(
    ("keys", "paths"),
    [
        ({}, ["refresh", "verify", "blacklist"]),
        ({"signing_key": None, "verifying_key": SECRET}, ["verify", "blacklist"]),
    ],
    ids=["signing", "verifying only"],
)
def test_a_default_that_cant_work_is_not_served(keys: dict[str, Any], paths: list[str]) -> None:
    found = served({"students": an_issuer(**keys)}, ("one", "two"))
    assert [key for _, key, _ in found] == paths


def test_of_two_defaults_the_first_issuers_is_served() -> None:
    found = served({"a": an_issuer(), "b": an_issuer()})
    assert [issuer for issuer, _, _ in found] == ["a"] * 4


def test_a_named_path_wins_over_a_default() -> None:
    named = an_issuer(endpoints={"refresh": "/logout/", "blacklist": None})
    found = served({"a": an_issuer(), "b": named})
    assert ("b", "refresh", "/logout/") in found
    assert ("a", "blacklist", "/logout/") not in found


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        (["a.example"], ["b.example"], True),
        (["a.example"], ["a.example"], False),
        (["*.example"], ["a.example"], False),
        (["a.example"], ["*.example"], False),
        (["a.test"], ["*.example"], True),
        (None, ["a.example"], False),
    ],
)
def test_hosts_tell_the_same_path_apart(
    one: list[str] | None, other: list[str] | None, is_shared: bool
) -> None:
    issuers = {
        "a": an_issuer(endpoints={"hosts": one}),
        "b": an_issuer(endpoints={"hosts": other}),
    }
    found = {issuer for issuer, _, _ in served(issuers)}
    assert (found == {"a", "b"}) is is_shared


# What the file is told

FAULTS = [
    ("endpoints: {refresh: /a, verify: /a}", ["endpoints.verify: the same path as refresh"]),
    (
        "endpoints: {obtain: /a, blacklist_all: /a}",
        ["endpoints.blacklist_all: the same path as obtain"],
    ),
    ("endpoints: {refresh: a}", ["endpoints.refresh: must be a path that starts with one /"]),
    ("endpoints: {refresh: //a}", ["endpoints.refresh: must be a path that starts with one /"]),
    ("endpoints: {refresh: '/a?b'}", ["endpoints.refresh: must be a path that starts with one /"]),
    ("endpoints: {hosts: []}", ["endpoints.hosts: needs"]),
    ("endpoints: {logout: /a}", ["endpoints.logout: unknown key"]),
    (
        "cookie: {same_site: none, secure: false}",
        ["cookie.same_site: browsers take none only with secure: true"],
    ),
    ("cookie: {name: 'a b'}", ["cookie.name: must be one word"]),
    ("cookie: {origins: ['https://a/b']}", ["cookie.origins[0]: "]),
    (
        "profile: drf-jwt, cookie: {}",
        ["cookie: this profile's token is the access token too: it can't be hidden"],
    ),
    (
        "auth_token_classes: [SlidingToken], cookie: {}",
        ["cookie: this profile's token is the access token too: it can't be hidden"],
    ),
    (
        "profile: drf-jwt, auth_token_classes: [AccessToken]",
        ["auth_token_classes: only of the profile simplejwt"],
    ),
    ("revoke_on: [{path: a}]", ["revoke_on[0].path: must be a path"]),
    ("revoke_on: [{path: /a, methods: []}]", ["revoke_on[0].methods: needs"]),
    ("session_lifetime: 0s", ["session_lifetime: must be longer than 0s"]),
    ("login_guard: {failures: 0}", ["login_guard.failures: "]),
    ("check_user: me", ["check_user: must be a path"]),
]


@pytest.mark.parametrize(("settings", "words"), FAULTS, ids=[text for text, _ in FAULTS])
def test_a_contradiction_is_refused_with_its_line(
    tmp_path: Path, settings: str, words: list[str]
) -> None:
    text = file_with(issuer=f"{{signing_key: {SECRET}, {settings}}}")
    faults = faults_of(tmp_path, text)
    expected = [f"config.yaml:4: issuers.students.{word}" for word in words]
    assert len(faults) == len(expected)
    for fault, beginning in zip(faults, expected, strict=True):
        assert fault.startswith(beginning)


TWO_UPSTREAMS = """\
issuers:
  people: {{{issuer}}}
upstreams:
  one: {{servers: ["http://127.0.0.1:8001"]}}
  two: {{servers: ["http://127.0.0.1:8002"]}}
routes:
  - {{path: /, issuers: [people], upstream: one}}
  - {{path: =/x, issuers: [people], upstream: two, methods: [GET]}}
"""


@pytest.mark.parametrize(
    ("issuer", "fault"),
    [
        (
            f"signing_key: {SECRET}, endpoints: {{obtain: /in/}}",
            "endpoints.obtain: needs upstream: NAME, where it is forwarded",
        ),
        (
            f"verifying_key: {SECRET}, endpoints: {{refresh: /re/}}",
            "endpoints.refresh: needs upstream: NAME, where it is forwarded",
        ),
        (
            f"signing_key: {SECRET}, check_user: /me/",
            "check_user: needs upstream: NAME, where it is asked",
        ),
        (f"signing_key: {SECRET}, upstream: three", "upstream: "),
    ],
    ids=["login", "refresh", "check_user", "no such upstream"],
)
def test_what_is_forwarded_needs_an_upstream(tmp_path: Path, issuer: str, fault: str) -> None:
    text = TWO_UPSTREAMS.format(issuer=issuer).replace(
        "  - {path: =/x, issuers: [people], upstream: two, methods: [GET]}\n", ""
    )
    [found] = faults_of(tmp_path, text)
    assert found.startswith(f"config.yaml:2: issuers.people.{fault}")


TWO_ISSUERS = """\
issuers:
  a:
    signing_key: {secret}
    upstream: students
    endpoints: {{{a}}}
  b:
    signing_key: {secret}b
    upstream: students
    endpoints: {{{b}}}
upstreams:
  students: {{servers: ["http://127.0.0.1:8001"]}}
routes:
  - {{path: /, issuers: [a, b], upstream: students}}
"""


def two_issuers(a: str, b: str) -> str:
    return TWO_ISSUERS.format(secret=SECRET, a=a, b=b)


NOTHING = "obtain: null, refresh: null, verify: null, blacklist: null"


def test_two_issuers_may_not_name_one_path(tmp_path: Path) -> None:
    text = two_issuers("refresh: /re/", "verify: /re/")
    [fault] = faults_of(tmp_path, text)
    assert fault == (
        "config.yaml:9: issuers.b.endpoints.verify: the same path as issuers.a.endpoints.refresh"
        "; give both endpoints.hosts, or other paths"
    )


def test_other_hosts_make_it_two_paths(tmp_path: Path) -> None:
    text = two_issuers(
        "refresh: /re/, hosts: [a.example]", "refresh: /re/, hosts: [b.example, '*.c.example']"
    )
    assert faults_of(tmp_path, text) == []


def test_a_default_that_is_not_answered_is_a_doubt(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, two_issuers("", NOTHING.replace("verify: null, ", "")))
    doubts = [str(doubt).replace(f"{tmp_path}/", "") for doubt in loaded.warnings]
    assert doubts == [
        "config.yaml:6: issuers.b: its default endpoints.verify is the path of issuer a, "
        "which answers it: set endpoints"
    ]


@pytest.mark.parametrize(
    ("route", "path", "is_deaf"),
    [
        ("{path: /, issuers: [students], upstream: students}", "/pw/", False),
        ("{path: /, auth: none, upstream: students}", "/pw/", True),
        ("{path: /api/, issuers: [students], upstream: students}", "/pw/", True),
        pytest.param(
            "{path: =/pw/, issuers: [students], upstream: students}",
            "/pw/",
            False,
        ),
        ("{path: /, auth: optional, issuers: [students], upstream: students}", "/pw/", False),
    ],
    ids=["asked", "nobody is asked", "another route", "exact", "optional"],
)
def test_a_revocation_that_nothing_can_trigger_is_a_doubt(
    tmp_path: Path, route: str, path: str, is_deaf: bool
) -> None:
    text = file_with(
        issuer=f"{{signing_key: {SECRET}, revoke_on: [{{path: {path}}}]}}", route=route
    )
    found = [str(doubt) for doubt in load_text(tmp_path, text).warnings]
    assert any("revoke_on[0].path: no route asks" in doubt for doubt in found) is is_deaf


def test_two_issuers_with_one_secret_are_a_doubt(tmp_path: Path) -> None:
    text = two_issuers("", NOTHING).replace(f"{SECRET}b", SECRET)
    assert load_text(tmp_path, text).warnings


def test_more_workers_need_a_shared_store(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, file_with(server="{workers: 2}"))
    assert any(
        fault.startswith("config.yaml:1: server.workers: more than one worker needs a store")
        for fault in faults
    )


@pytest.mark.parametrize(
    ("issuer", "is_refused"),
    [
        ("", False),
        ("revoke_on: [{path: /p/}]", True),
        ("endpoints: {obtain: null, refresh: null, verify: null, blacklist: /out/}", True),
    ],
    ids=["none", "revoke_on", "logout"],
)
def test_workers_need_no_shared_store_without_sessions(
    tmp_path: Path, issuer: str, is_refused: bool
) -> None:
    nothing = "endpoints: {obtain: null, refresh: null, verify: null, blacklist: null}"
    keys = ", ".join(filter(None, [f"signing_key: {SECRET}", issuer]))
    if "endpoints" not in issuer:
        keys += f", {nothing}"
    faults = faults_of(tmp_path, file_with(server="{workers: 2}", issuer=f"{{{keys}}}"))
    assert any("needs a store that they share" in fault for fault in faults) is is_refused


@pytest.mark.parametrize(
    ("text", "where", "wording"),
    [
        ("refresh_token_lifetime: 1m", "refresh_token_lifetime", "shorter than access"),
        ("refresh_grace: 2d", "refresh_grace", "a stolen token stays good"),
    ],
)
def test_odd_lives_are_doubts(tmp_path: Path, text: str, where: str, wording: str) -> None:
    loaded = load_text(tmp_path, file_with(issuer="{@ISSUER, " + text + "}"))
    [doubt] = [one for one in loaded.warnings if one.key == f"issuers.students.{where}"]
    assert wording in doubt.message


@pytest.mark.parametrize(
    ("cookie", "key", "wording"),
    [
        ("{origins: ['*']}", "cookie.origins[0]", "must be an origin such as"),
        ("{name: __Host-r}", "cookie.name", "only with secure: true and path: /"),
        ("{name: __Secure-r, secure: false}", "cookie.name", "only with secure: true"),
        ("{same_site: none, secure: false}", "cookie.same_site", "only with secure: true"),
    ],
)
def test_a_cookie_that_would_not_work_is_refused(
    tmp_path: Path, cookie: str, key: str, wording: str
) -> None:
    [fault] = faults_of(tmp_path, file_with(issuer="{@ISSUER, cookie: " + cookie + "}"))
    assert fault.startswith(f"config.yaml:4: issuers.students.{key}: ")
    assert wording in fault


@pytest.mark.parametrize(("url", "is_doubtful"), [("memory://", True), ("redis://h", False)])
def test_limits_that_each_worker_counts_alone_are_a_doubt(url: str, is_doubtful: bool) -> None:
    parts = Parts.of(
        Config.model_validate(
            {
                "server": {"workers": 2},
                "store": {"url": url},
                "upstreams": {"a": {"servers": ["http://h"]}},
                "routes": [{"path": "/", "upstream": "a", "rate_limit": {"rate": "1/s"}}],
            }
        )
    )
    assert any(key[-1] == "rate_limit" for key, _ in doubts(parts)) is is_doubtful
