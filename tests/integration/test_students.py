"""The students app (simplejwt 5.5, HS256, TCP): directly and through the gateway, byte for byte."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from tests.integration.exchange import FORM, JSON, Answer, Door, ask, authorization
from tests.integration.servers import RunningApp, RunningGateway

ROW = {"name": "pele", "roll": 103, "city": "Santos"}
JSON_ROW = b'{"name": "pele", "roll": 103, "city": "Santos"}'
FORM_ROW = urlencode(ROW).encode()
PASSWORD = {"username": "user1", "password": "#beta123"}
JSON_LOGIN = (JSON, b'{"username": "user1", "password": "#beta123"}')
FORM_LOGIN = (FORM, urlencode(PASSWORD).encode())


@pytest.fixture
def door(students: RunningApp, gateway: RunningGateway) -> Door:
    return Door(students.address, gateway.address)


@pytest.fixture
def bearer(student_token: str) -> tuple[str, str]:
    return authorization(f"Bearer {student_token}")


# The life of a token


@pytest.mark.parametrize(("kind", "body"), [JSON_LOGIN, FORM_LOGIN], ids=["json", "form"])
def test_a_login_through_the_gateway_gives_tokens_that_the_app_takes(
    door: Door, kind: tuple[str, str], body: bytes
) -> None:
    direct, through = door.both("POST", "/gettoken/", headers=[kind], body=body)
    assert (through.status, list(through.json())) == (direct.status, ["refresh", "access"])
    assert [name for name, _ in through.headers] == [
        name for name, _ in direct.headers if name != "Connection"
    ]
    pair = through.json()
    door.same("GET", "/studentapi/", headers=[authorization(f"Bearer {pair['access']}")])
    refresh = f"refresh={pair['refresh']}".encode()
    fresh = ask(door.gateway, "POST", "/refreshtoken/", headers=[FORM], body=refresh).json()
    assert list(fresh) == ["access", "refresh"]
    for token in (*pair.values(), *fresh.values()):  # all are tokens of its own to the app
        verified = ask(
            door.direct, "POST", "/verifytoken/", headers=[FORM], body=f"token={token}".encode()
        )
        assert verified.json() == {}
    rows = door.same("GET", "/studentapi/", headers=[authorization(f"Bearer {fresh['access']}")])
    assert [row["name"] for row in rows.json()][:2] == ["ronaldo", "messi"]


@pytest.mark.parametrize(
    "body",
    [b'{"username": "user1", "password": "wrong"}', b'{"username": "user1"}', b"{"],
    ids=["password", "missing-field", "broken-json"],
)
def test_a_failed_login_comes_back_as_the_app_said_it(door: Door, body: bytes) -> None:
    assert door.same("POST", "/gettoken/", headers=[JSON], body=body).status in (400, 401)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/refreshtoken/", b'{"refresh": "x"}'),
        ("/refreshtoken/", b'{"refresh": ""}'),
        ("/refreshtoken/", b"{"),
        ("/verifytoken/", b'{"token": "x"}'),
        ("/verifytoken/", b"[]"),
    ],
)
def test_a_token_path_refuses_as_the_app_does(door: Door, target: str, body: bytes) -> None:
    direct, through = door.both("POST", target, headers=[JSON], body=body)
    assert through.refusal == direct.refusal
    assert through.header("Allow") == direct.header("Allow")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
@pytest.mark.parametrize("target", ["/gettoken/", "/refreshtoken/", "/verifytoken/"])
def test_another_method_is_answered_as_by_the_app(door: Door, method: str, target: str) -> None:
    direct, through = door.both(method, target)
    assert through.refusal == direct.refusal
    assert through.header("Allow") == direct.header("Allow")


@pytest.mark.parametrize("target", ["/gettoken?next=/x", "/refreshtoken", "/verifytoken"])
def test_a_missing_slash_is_redirected_as_by_the_app(door: Door, target: str) -> None:
    direct, through = door.both("POST", target, headers=[JSON], body=b"{}")
    assert through.refusal == direct.refusal
    assert (through.status, through.header("Location")) == (301, direct.header("Location"))


def test_a_login_ignores_a_stale_authorization_header(door: Door) -> None:
    kind, body = JSON_LOGIN
    stale = authorization("Bearer stale")
    answer = ask(door.gateway, "POST", "/gettoken/", headers=[kind, stale], body=body)
    assert answer.status == 200


def test_a_logout_ends_the_session_the_access_token_included(door: Door) -> None:
    kind, body = JSON_LOGIN
    pair = ask(door.gateway, "POST", "/gettoken/", headers=[kind], body=body).json()
    refresh = f"refresh={pair['refresh']}".encode()
    bearer = authorization(f"Bearer {pair['access']}")
    assert door.same("GET", "/studentapi/", headers=[bearer]).status == 200
    assert ask(door.gateway, "POST", "/logout/", headers=[FORM], body=refresh).json() == {}
    again = ask(door.gateway, "POST", "/logout/", headers=[FORM], body=refresh)
    assert again.json() == {"detail": "Token is blacklisted", "code": "token_not_valid"}
    assert ask(door.gateway, "GET", "/studentapi/", headers=[bearer]).status == 401
    for target in ("/refreshtoken/", "//refreshtoken/"):
        answer = ask(door.gateway, "POST", target, headers=[FORM], body=refresh)
        assert answer.status in (400, 401)


# The API


@pytest.mark.parametrize(
    ("kind", "body"), [(JSON, JSON_ROW), (FORM, FORM_ROW)], ids=["json", "form"]
)
def test_a_row_is_made_read_changed_and_deleted(
    door: Door, gateway: RunningGateway, bearer: tuple[str, str], kind: tuple[str, str], body: bytes
) -> None:
    made = [a.json() for a in door.both("POST", "/studentapi/", headers=[bearer, kind], body=body)]
    assert [{**row, "id": 0} for row in made] == [{"id": 0, **ROW}] * 2
    assert made[1]["id"] == made[0]["id"] + 1
    paths = [f"/studentapi/{row['id']}/" for row in made]
    assert door.same("GET", paths[1], headers=[bearer]).json() == made[1]
    changed = body.replace(b"Santos", b"Tr%C3%AAs" if kind == FORM else "Três".encode())
    for method in ("PUT", "PATCH"):
        answer = door.same(method, paths[1], headers=[bearer, kind], body=changed)
        assert answer.json()["city"] == "Três"
    first, second = (Door(door.direct, gateway.address).both("DELETE", p, headers=[bearer])
                     for p in paths)  # fmt: skip
    assert [a.status for a in (*first, *second)] == [204, 404, 204, 404]
    assert first[0].body == b""


CALLS: Mapping[str, tuple[str, str, list[tuple[str, str]], int]] = {
    "list": ("GET", "/studentapi/", [], 200),
    "head": ("HEAD", "/studentapi/", [], 200),
    "query": ("GET", "/studentapi/?a=1&b=%2F&a=%c3%a9&empty=", [], 200),
    "indented": ("GET", "/studentapi/", [("Accept", "application/json; indent=4")], 200),
    "browsable-api": ("GET", "/studentapi/", [("Accept", "text/html")], 200),
    "browsable-api-by-query": ("GET", "/studentapi/?format=api", [], 200),
    "one": ("GET", "/studentapi/1/", [], 200),
    "options": ("OPTIONS", "/studentapi/", [], 200),
    "missing-slash": ("GET", "/studentapi", [], 301),
    "missing-slash-with-query": ("GET", "/studentapi?a=1", [], 301),
    "unknown-row": ("GET", "/studentapi/4711/", [], 404),
    "unknown-path": ("GET", "/studentapi/1/nothing/", [], 404),
    "method": ("PATCH", "/studentapi/", [], 405),
    "unknown-method": ("PURGE", "/studentapi/", [], 405),
    "not-acceptable": ("GET", "/studentapi/", [("Accept", "image/png")], 406),
    "two-cookies": ("GET", "/studentapi/", [("Cookie", "a=1"), ("X-Odd", "h\xe9llo")], 200),
    "if-none-match": ("GET", "/static/admin/css/base.css", [("If-None-Match", '"x"')], 200),
    "range": ("GET", "/static/admin/css/base.css", [("Range", "bytes=10-19")], 206),
    "gzip": ("GET", "/static/admin/css/base.css", [("Accept-Encoding", "gzip")], 200),
}


@pytest.mark.parametrize(("method", "target", "headers", "status"), CALLS.values(), ids=CALLS)
def test_a_verified_call_is_answered_as_directly(
    door: Door,
    bearer: tuple[str, str],
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    status: int,
) -> None:
    assert door.same(method, target, headers=[bearer, *headers]).status == status


def test_a_file_not_modified_is_304(door: Door) -> None:
    path = "/static/admin/css/base.css"
    modified = door.same("GET", path).header("Last-Modified")
    assert modified
    assert door.same("GET", path, headers=[("If-Modified-Since", modified)]).status == 304


def test_a_post_without_its_slash_is_redirected_by_the_app(
    door: Door, bearer: tuple[str, str]
) -> None:
    answer = door.same("POST", "/studentapi", headers=[bearer, JSON], body=JSON_ROW)
    assert (answer.status, answer.header("Location")) == (301, "/studentapi/")


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
def test_a_body_that_the_app_refuses_is_refused_by_the_app(
    door: Door, bearer: tuple[str, str], kind: str
) -> None:
    headers = [bearer, ("Content-Type", kind)]
    assert door.same("POST", "/studentapi/", headers=headers, body=b"{").status in (400, 415)


def test_a_preflight_is_not_asked_for_a_token(door: Door) -> None:
    headers = [("Origin", "http://a.example"), ("Access-Control-Request-Method", "POST")]
    direct, through = door.both("OPTIONS", "/studentapi/", headers=headers)
    assert through.essence == direct.essence  # here the app's own 401: it knows no CORS
    assert through.header("X-Request-Id") is None  # the mark of the gateway's own answers
    refused = door.both("OPTIONS", "/studentapi/")[1]
    assert refused.header("X-Request-Id") is not None


@pytest.mark.parametrize("target", ["/studentapi.json", "/studentapi/1.json", "/studentapi.api/"])
def test_the_paths_that_the_router_makes_beside_its_own_are_closed_too(
    door: Door, bearer: tuple[str, str], target: str
) -> None:
    """DRF's format suffixes stand outside of the prefix `/studentapi`: only a route opens them."""
    direct, through = door.both("GET", target)
    assert (direct.status, through.status in (401, 404)) == (401, True)
    assert through.header("X-Request-Id") is not None
    assert ask(door.direct, "GET", target, headers=[bearer]).status == 200


# The admin


def _cookies(answer: Answer) -> str:
    return "; ".join(cookie.partition(";")[0] for cookie in answer.all("Set-Cookie"))


def test_the_admin_is_entered_with_its_csrf_cookie(door: Door) -> None:
    form = door.same("GET", "/admin/login/?next=/admin/")
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', form.body)
    assert found
    fields = {**PASSWORD, "csrfmiddlewaretoken": found[1].decode(), "next": "/admin/"}
    answer = door.same(
        "POST",
        "/admin/login/?next=/admin/",
        headers=[FORM, ("Cookie", _cookies(form))],
        body=urlencode(fields).encode(),
    )
    assert (answer.status, answer.header("Location")) == (302, "/admin/")
    names = [cookie.partition("=")[0] for cookie in answer.all("Set-Cookie")]
    assert sorted(names) == ["csrftoken", "sessionid"]  # two fields, not one
    page = door.same("GET", "/admin/", headers=[("Cookie", _cookies(answer))])
    assert page.status == 200
    assert b"user1" in page.body


def test_the_admin_refuses_a_post_without_its_csrf_cookie(door: Door) -> None:
    answer = door.same("POST", "/admin/login/", headers=[FORM], body=urlencode(PASSWORD).encode())
    assert answer.status == 403
