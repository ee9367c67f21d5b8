"""Browser mode: no body holds the refresh token, and no other site's page can use the cookie."""

import json
from typing import Any

import pytest

from tests.endpoints.conftest import Driving
from tests.endpoints.driving import (
    CONFIG,
    LOGIN,
    LOGOUT,
    LOGOUT_ALL,
    REFRESH,
    Asked,
    Driven,
    Heard,
    claims_of,
    pair,
    said,
)
from tests.factories import OTHER_SECRET, SECRET

COOKIE = f"signing_key: {SECRET}, cookie: {{}}"
ATTRIBUTES = "SameSite=Strict; HttpOnly; Secure"
READERS = [REFRESH, LOGOUT, LOGOUT_ALL]


def app(asked: Asked) -> bytes:
    return said(pair()) if asked.target == LOGIN else said({"path": asked.target})


def cookie_of(heard: Heard) -> str:
    """The token in the cookies that an answer sets: the same at each path."""
    [token] = {line.partition(";")[0].partition("=")[2] for line in heard.cookies}
    return token


def sent(token: str, name: str = "refresh_token") -> tuple[str, str]:
    return ("cookie", f"{name}={token}")


def is_cleared(heard: Heard) -> bool:
    return bool(heard.cookies) and all(
        line.startswith("refresh_token=; Max-Age=0; ") for line in heard.cookies
    )


async def logged_in(gateway: Driven) -> tuple[str, str]:
    """The access token of a login, and the refresh token in its cookie."""
    heard = await gateway.log_in()
    return heard.said["access"], cookie_of(heard)


async def test_a_login_moves_the_refresh_token_into_a_cookie(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        heard = await gateway.log_in()
    assert list(heard.said) == ["access"]
    token = cookie_of(heard)
    assert token.encode() not in heard.body
    assert claims_of(token)["gen"] == 0
    assert heard.cookies == [
        f"refresh_token={token}; Max-Age=86400; Path={path}; {ATTRIBUTES}" for path in READERS
    ]
    assert heard["content-length"] == str(len(heard.body))


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ("path: /api/", ["rt=T; Max-Age=60; Path=/api/; SameSite=Strict; HttpOnly; Secure"]),
        (
            "path: /, same_site: lax, secure: false",
            ["rt=T; Max-Age=60; Path=/; SameSite=Lax; HttpOnly"],
        ),
        ("path: /, same_site: none", ["rt=T; Max-Age=60; Path=/; SameSite=None; HttpOnly; Secure"]),
    ],
    ids=["one path", "lax", "none"],
)
async def test_the_cookie_is_as_configured(
    driving: Driving, settings: str, lines: list[str]
) -> None:
    issuer = f"signing_key: {SECRET}, refresh_token_lifetime: 1m, cookie: {{name: rt, {settings}}}"
    async with driving(app, issuer=issuer) as gateway:
        heard = await gateway.log_in()
        token = cookie_of(heard)
        assert [line.replace(token, "T") for line in heard.cookies] == lines
        assert (await gateway.ask(REFRESH, b"", sent(token, "rt"))).status == 200


async def test_a_nested_answer_is_kept_but_for_the_token(driving: Driving) -> None:
    tokens = pair()
    answer = {"user": {"name": "Zoë"}, "data": {"tokens": tokens, "more": [1]}}
    async with driving(lambda _: said(answer), issuer=COOKIE) as gateway:
        heard = await gateway.log_in()
    assert tokens["refresh"].encode() not in heard.body
    assert heard.said["user"] == {"name": "Zoë"}
    assert list(heard.said["data"]["tokens"]) == ["access"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda tokens: {**tokens, "copy": {"refresh": tokens["refresh"]}},
        lambda tokens: {**tokens, "refresh_token": tokens["refresh"]},
        lambda tokens: {"data": [tokens]},
        lambda tokens: [tokens],
        lambda tokens: {"a": {"b": {"c": {"d": {"e": {"f": tokens}}}}}},
        lambda tokens: {"access_token": tokens["access"], "refresh_token": tokens["refresh"]},
    ],
    ids=["twice", "under another name too", "in a list", "a list", "deep", "other names"],
)
async def test_no_shape_of_answer_lets_the_refresh_token_through(
    driving: Driving, shape: Any
) -> None:
    tokens = pair()
    async with driving(lambda _: said(shape(tokens)), issuer=COOKIE) as gateway:
        heard = await gateway.log_in()
    assert tokens["refresh"].encode() not in heard.body
    for name, value in json.loads(heard.body).items() if heard.status == 200 else ():
        assert name != "refresh_token" or claims_of(value)["token_type"] != "refresh"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(b"<html>eyJ</html>", "text/html", 502), (b"{", "application/json", 502),
     (b'{"mfa": true}', "application/json", 200)],
    ids=["page", "broken", "no tokens"],
)  # fmt: skip
async def test_an_illegible_success_is_withheld(
    driving: Driving, body: bytes, kind: str, status: int
) -> None:
    async with driving(lambda _: said(body, content_type=kind), issuer=COOKIE) as gateway:
        heard = await gateway.log_in()
    assert (heard.status, heard.cookies) == (status, [])


async def test_the_app_is_asked_for_json(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        await gateway.log_in(("accept", "text/html"))
        assert gateway.app.asked[0].field("accept") == ""


async def test_a_refused_login_sets_nothing(driving: Driving) -> None:
    async with driving(lambda _: said({"detail": "no"}, 401), issuer=COOKIE) as gateway:
        heard = await gateway.log_in()
    assert (heard.status, heard.cookies) == (401, [])


async def test_the_cookie_is_rotated_where_it_is(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        _, token = await logged_in(gateway)
        heard = await gateway.ask(REFRESH, b"", sent(token))
        assert (heard.status, list(heard.said)) == (200, ["access"])
        renewed = cookie_of(heard)
        assert claims_of(renewed)["gen"] == 1
        assert len(heard.cookies) == 3
        assert renewed.encode() not in heard.body
        retried = await gateway.ask(REFRESH, b"", sent(token))
        assert cookie_of(retried) == renewed
        assert (await gateway.call(heard.said["access"])).status == 200


async def test_a_token_that_stays_sets_no_cookie(driving: Driving) -> None:
    issuer = f"{COOKIE}, rotate_refresh_tokens: false"
    async with driving(app, issuer=issuer) as gateway:
        _, token = await logged_in(gateway)
        heard = await gateway.ask(REFRESH, b"", sent(token))
        assert (heard.status, heard.cookies) == (200, [])


async def test_logout_clears_it(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        access, token = await logged_in(gateway)
        heard = await gateway.ask(LOGOUT, b"", sent(token))
        assert heard.status == 200
        assert is_cleared(heard)
        assert [line.split("; ")[2] for line in heard.cookies] == [f"Path={p}" for p in READERS]
        assert (await gateway.call(access)).status == 401


@pytest.mark.parametrize("with_bearer", [False, True], ids=["cookie alone", "bearer too"])
async def test_the_logout_of_all_clears_it(driving: Driving, with_bearer: bool) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        access, token = await logged_in(gateway)
        _, other = await logged_in(gateway)
        bearer = [("authorization", f"Bearer {access}")] if with_bearer else []
        heard = await gateway.ask(LOGOUT_ALL, b"", sent(token), *bearer)
        assert heard.status == 200
        assert is_cleared(heard)
        assert (await gateway.ask(REFRESH, b"", sent(other))).status == 401


@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize("token", ["a.b.c", pair(key=OTHER_SECRET)["refresh"]], ids=["no", "wrong"])
async def test_a_bad_token_in_the_cookie_is_cleared(
    driving: Driving, path: str, token: str
) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        heard = await gateway.ask(path, b"", sent(token))
        assert heard.status == 401
        assert is_cleared(heard)


async def test_a_spent_one_too(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        _, token = await logged_in(gateway)
        await gateway.ask(LOGOUT, b"", sent(token))
        assert is_cleared(await gateway.ask(REFRESH, b"", sent(token)))


@pytest.mark.parametrize("path", READERS)
async def test_an_outage_leaves_it(driving: Driving, path: str) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        _, token = await logged_in(gateway)
        gateway.store.is_away = True
        heard = await gateway.ask(path, b"", sent(token))
        assert (heard.status, heard.cookies) == (503, [])
        gateway.store.is_away = False
        assert (await gateway.ask(REFRESH, b"", sent(token))).status == 200


async def test_a_login_during_an_outage_hides_the_token_too(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        gateway.store.is_away = True
        heard = await gateway.log_in()
        assert list(heard.said) == ["access"]
        gateway.store.is_away = False
        assert (await gateway.ask(REFRESH, b"", sent(cookie_of(heard)))).status == 200


# Beside it


async def test_body_clients_keep_working_beside_it(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        _, token = await logged_in(gateway)
        heard = await gateway.refresh(token, sent("a.b.c"), ("origin", "https://evil.example"))
        assert (heard.status, list(heard.said), heard.cookies) == (200, ["access", "refresh"], [])
        out = await gateway.ask(LOGOUT, {"refresh": heard.said["refresh"]})
        assert (out.status, out.cookies) == (200, [])
        bad = await gateway.refresh("a.b.c")
        assert (bad.status, bad.cookies) == (401, [])


async def test_without_cookie_and_body_the_field_is_missing(driving: Driving) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        heard = await gateway.ask(REFRESH, b"", ("cookie", "refresh_token=; other=x"))
    assert (heard.status, heard.said) == (400, {"refresh": ["This field is required."]})


@pytest.mark.parametrize(
    "line",
    ["a=b; refresh_token={}", "refresh_token={}; refresh_token=a.b.c", "refresh_token=;"
     "refresh_token={}", "xrefresh_token=x;Refresh_Token=x;refresh_token={};"],
    ids=["among others", "the first of two", "an empty one first", "similar names"],
)  # fmt: skip
async def test_the_cookie_is_found(driving: Driving, line: str) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        _, token = await logged_in(gateway)
        heard = await gateway.ask(REFRESH, b"", ("cookie", line.format(token)))
    assert heard.status == 200


@pytest.mark.parametrize(
    "value", ["x" * 8192, "a.b.c\r\nx: y", "\xff.\xfe.\x80", '"a.b.c"', "a.b.c\0"],
    ids=["8 KiB", "CR LF", "bytes", "quoted", "NUL"],
)  # fmt: skip
async def test_an_odd_cookie_is_just_a_bad_token(driving: Driving, value: str) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        heard = await gateway.ask(REFRESH, b"", sent(value))
    assert heard.status == 401
    assert is_cleared(heard)


async def test_without_the_mode_a_cookie_is_nothing(gateway: Driven) -> None:
    heard = await gateway.ask(REFRESH, b"", sent(pair()["refresh"]))
    assert heard.status == 400


# Other sites

SITES = [
    ([], True),
    ([("origin", "https://app.example")], True),
    ([("origin", "http://app.example")], True),
    ([("origin", "https://app.example:443")], True),
    ([("origin", "https://app.example:8443")], False),
    ([("origin", "https://app.example:80")], False),
    ([("origin", "https://evil.example")], False),
    ([("origin", "https://app.example.evil.example")], False),
    ([("origin", "https://evil-app.example")], False),
    ([("origin", "null")], False),
    ([("origin", "")], False),
    ([("origin", "app.example")], False),
    ([("sec-fetch-site", "same-origin")], True),
    ([("sec-fetch-site", "none")], True),
    ([("sec-fetch-site", "same-site")], True),
    ([("sec-fetch-site", "cross-site")], False),
    ([("sec-fetch-site", "")], False),
    ([("sec-fetch-site", "new-word")], False),
    ([("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], False),
    ([("sec-fetch-site", "same-site"), ("origin", "https://www.app.example")], True),
    ([("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], False),
    ([("sec-fetch-site", "none"), ("origin", "https://evil.example")], False),
    ([("sec-fetch-site", "cross-site"), ("origin", "https://app.example")], False),
    ([("origin", "https://app.example"), ("origin", "https://evil.example")], False),
    ([("origin", "https://spa.example"), ("sec-fetch-site", "cross-site")], True),
    ([("origin", "http://spa.example")], False),
    ([("origin", "https://spa.example:8443")], False),
    ([("x-forwarded-host", "evil.example"), ("origin", "https://evil.example")], False),
]


def site_id(value: object) -> str:
    if isinstance(value, list):
        return " ".join(f"{k}={v}" for k, v in value) or "no browser"
    return ""


@pytest.mark.parametrize(("headers", "is_taken"), SITES, ids=site_id)
@pytest.mark.parametrize("path", [REFRESH, LOGOUT_ALL, LOGIN])
async def test_only_the_sites_own_pages_use_the_cookie(
    driving: Driving, path: str, headers: list[tuple[str, str]], is_taken: bool
) -> None:
    issuer = f'signing_key: {SECRET}, cookie: {{origins: ["https://spa.example"]}}'
    async with driving(app, issuer=issuer) as gateway:
        token = pair()["refresh"]
        body: object = {"username": "a", "password": "b"} if path == LOGIN else b""
        heard = await gateway.ask(path, body, sent(token), *headers)
        if is_taken:
            assert heard.status == 200
            return
        assert (heard.status, heard.cookies) == (403, [])
        assert heard.said == {"detail": "You do not have permission to perform this action."}
        assert gateway.app.asked == []
        assert (await gateway.ask(REFRESH, b"", sent(token))).status == 200


CROSSED = [
    ("https://spa.example", "credentials: true", True),
    ("https://spa.example", "credentials: false", False),
    ("https://evil.example", "credentials: true", False),
    ("null", "credentials: true", False),
]


@pytest.mark.parametrize(("origin", "credentials", "is_taken"), CROSSED)
@pytest.mark.parametrize("path", [REFRESH, LOGOUT_ALL, LOGIN])
async def test_a_page_that_cors_lets_send_cookies_uses_the_cookie(
    driving: Driving, path: str, origin: str, credentials: str, is_taken: bool
) -> None:
    cors = f"cors: {{{{origins: [https://spa.example], {credentials}}}}}"
    config = CONFIG.replace("path: /,", f"path: /, {cors},")
    headers = [("origin", origin), ("sec-fetch-site", "cross-site")]
    async with driving(app, config=config, issuer=COOKIE) as gateway:
        body: object = {"username": "a", "password": "b"} if path == LOGIN else b""
        heard = await gateway.ask(path, body, sent(pair()["refresh"]), *headers)
        assert heard.status == (200 if is_taken else 403)
        readable = origin == "https://spa.example"
        assert heard["access-control-allow-origin"] == (origin if readable else None)
        assert heard.cookies == [] or is_taken


@pytest.mark.parametrize(
    ("host", "origin", "is_taken"),
    [
        ("app.example:8443", "https://app.example:8443", True),
        ("app.example:443", "https://app.example", True),
        ("app.example:8443", "https://app.example", False),
        ("[::1]:8000", "http://[::1]:8000", True),
        pytest.param(
            "App.Example",
            "https://app.example",
            True,
        ),
    ],
)
async def test_the_host_with_its_port_is_the_origin(
    driving: Driving, host: str, origin: str, is_taken: bool
) -> None:
    async with driving(app, issuer=COOKIE) as gateway:
        headers = [sent(pair()["refresh"]), ("origin", origin)]
        heard = await gateway.ask(REFRESH, b"", *headers, host=host)
    assert (heard.status == 200) is is_taken


async def test_a_trusted_proxy_says_which_host_was_asked(driving: Driving) -> None:
    server = "server: {trusted_proxies: [127.0.0.1/32]}"
    async with driving(app, issuer=COOKIE, server=server) as gateway:
        headers = [sent(pair()["refresh"]), ("x-forwarded-host", "app.example")]
        own = await gateway.ask(
            REFRESH, b"", *headers, ("origin", "https://app.example"), host="gateway.internal"
        )
        other = await gateway.ask(
            REFRESH, b"", *headers, ("origin", "https://gateway.internal"), host="gateway.internal"
        )
    assert (own.status, other.status) == (200, 403)
