"""Login: forwarded as it came; in the app's own answer nothing but the tokens changes."""

import asyncio
import gzip
import json
import logging
import time
from typing import Any

import pytest

from tests.endpoints.conftest import Driving
from tests.endpoints.driving import LOGIN, LOGOUT_ALL, REFRESH, Asked, claims_of, pair, said
from tests.factories import OTHER_SECRET, SECRET, private_pem, rsa_key, sign


async def test_the_request_goes_on_as_it_came(driving: Driving) -> None:
    body = b'{"username" : "alice",\n "password": "s3cret"}'
    async with driving(lambda _: said(pair())) as gateway:
        await gateway.ask(LOGIN + "?next=%2Fa", body, ("accept-encoding", "gzip"), ("x-a", "b"))
        [asked] = gateway.app.asked
    assert (asked.method, asked.target, asked.body) == ("POST", LOGIN + "?next=%2Fa", body)
    assert (asked.field("x-a"), asked.field("host")) == ("b", "app.example")
    assert asked.field("accept-encoding") == ""  # the tokens in the answer must be legible
    assert asked.field("content-type") == "application/json"


async def test_only_the_tokens_change_in_the_answer(driving: Driving) -> None:
    tokens = pair()
    body = json.dumps({"user": {"name": "Zoë"}, **tokens, "expires": 1.50}, indent=3)
    async with driving(lambda _: said(body, 201, "X-App: yes", "ETag: W/1")) as gateway:
        heard = await gateway.log_in()
    own = heard.said
    assert heard.status == 201
    assert heard["x-app"] == "yes"
    assert heard["x-request-id"] is None
    assert heard["content-length"] == str(len(heard.body))
    for name, was in tokens.items():
        assert claims_of(own[name])["sid"]
        body = body.replace(was, own[name])
    assert heard.body.decode() == body


async def test_tokens_in_an_inner_object_are_replaced_too(driving: Driving) -> None:
    async with driving(lambda _: said({"ok": True, "data": {"tokens": pair()}})) as gateway:
        heard = await gateway.log_in()
        own = heard.said["data"]["tokens"]
        assert claims_of(own["refresh"])["gen"] == 0
        assert (await gateway.refresh(own["refresh"])).status == 200
        assert (await gateway.call(own["access"])).status == 200


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{ "detail":"No active account found" }', "application/json"),
        (400, b'{"username": ["This field is required."]}', "application/json"),
        (403, b"<h1>CSRF</h1>", "text/html; charset=utf-8"),
        (500, b"<h1>Server Error (500)</h1>", "text/html"),
        (302, b"", "text/plain"),
        (200, b"<html>eyJ.eyJ.x</html>", "text/html"),
        (200, b'{"mfa": "required"}', "application/json"),
        (200, b'{"access": "no token"', "application/json"),
    ],
    ids=["401", "400", "403 page", "500 page", "302", "200 page", "no tokens", "broken JSON"],
)
async def test_what_is_no_login_comes_back_byte_for_byte(
    driving: Driving, status: int, body: bytes, kind: str
) -> None:
    answer = said(body, status, "X-Frame-Options: DENY", content_type=kind)
    async with driving(lambda _: answer) as gateway:
        heard = await gateway.log_in()
    assert (heard.status, heard.body) == (status, body)
    assert heard.headers == [
        ("content-type", kind),
        ("x-frame-options", "DENY"),
        ("content-length", str(len(body))),
    ]


async def test_an_app_that_compresses_all_the_same_is_passed_on(driving: Driving) -> None:
    body = gzip.compress(json.dumps(pair()).encode())
    async with driving(lambda _: said(body, 200, "Content-Encoding: gzip")) as gateway:
        heard = await gateway.log_in()
    assert heard.body == body


async def test_an_answer_without_content_has_no_length(driving: Driving) -> None:
    async with driving(lambda _: b"HTTP/1.1 204 No Content\r\n\r\n") as gateway:
        heard = await gateway.log_in()
    assert heard.status == 204
    assert heard["content-length"] is None  # RFC 9110 §8.6


@pytest.mark.parametrize(
    "answer",
    [
        pair(key=OTHER_SECRET),
        {"access": pair()["access"], "refresh": pair()["access"]},
        {**pair(), "access": "a.b.c"},
        pair(ahead=86400),
    ],
    ids=["another key", "wrong type", "no access token", "clock far ahead"],
)
async def test_a_token_that_is_not_the_issuers_is_a_502_without_a_word_of_it(
    driving: Driving, caplog: pytest.LogCaptureFixture, answer: dict[str, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with driving(lambda _: said(answer)) as gateway:
        heard = await gateway.log_in()
    assert heard.status == 502
    assert heard.said["code"] == "upstream_broken"
    assert "issuer 'students': a login's token is not good" in caplog.text
    for text in answer.values():
        assert text not in caplog.text
        assert text.encode() not in heard.body
    assert "eyJ" not in caplog.text


async def test_an_app_whose_clock_is_ahead_is_put_right(driving: Driving) -> None:
    async with driving(lambda _: said(pair(ahead=30))) as gateway:
        own = (await gateway.log_in()).said
        assert claims_of(own["access"])["iat"] <= time.time() - 1
        assert (await gateway.call(own["access"])).status == 200
        assert (await gateway.refresh(own["refresh"])).status == 200


async def test_while_the_store_is_away_the_apps_own_tokens_are_given(driving: Driving) -> None:
    tokens = pair()
    async with driving(lambda _: said(tokens)) as gateway:
        gateway.store.is_away = True
        heard = await gateway.log_in()
        assert (heard.status, heard.said) == (200, tokens)
        gateway.store.is_away = False
        assert (await gateway.refresh(tokens["refresh"])).status == 200


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(lambda _: None, 502, "upstream_broken"), (lambda _: b"nonsense\r\n\r\n", 502, None)],
    ids=["broken off", "nonsense"],
)
async def test_an_app_that_fails_is_a_502(
    driving: Driving, answer: Any, status: int, code: str | None
) -> None:
    async with driving(answer) as gateway:
        heard = await gateway.log_in()
    assert heard.status == status
    assert heard["x-request-id"] is not None
    assert code in (None, heard.said["code"])


async def test_a_login_is_sent_once(driving: Driving) -> None:
    async with driving(lambda _: None) as gateway:
        await gateway.log_in()
        assert len(gateway.app.asked) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
async def test_other_methods_are_the_apps(driving: Driving, method: str) -> None:
    async with driving(lambda _: said(b"app", 405, "Allow: POST")) as gateway:
        heard = await gateway.ask(LOGIN, method=method)
        assert heard.status == 405
        assert gateway.app.asked[0].method == method


async def test_a_form_and_its_stale_bearer_go_on(driving: Driving) -> None:
    async with driving(lambda _: said(pair())) as gateway:
        heard = await gateway.ask(
            LOGIN,
            b"username=alice&password=x",
            ("authorization", "Bearer stale"),
            content_type="application/x-www-form-urlencoded",
        )
        assert heard.status == 200
        assert gateway.app.asked[0].body == b"username=alice&password=x"


async def test_a_body_that_is_too_large_is_never_sent_on(driving: Driving) -> None:
    async with driving() as gateway:
        heard = await gateway.ask(LOGIN, b"x" * ((1 << 20) + 1))
        assert (heard.status, heard.said["code"]) == (413, "body_too_large")
        assert gateway.app.asked == []


async def test_a_client_that_leaves_meanwhile_logs_nobody_in(driving: Driving) -> None:
    async with driving() as gateway:
        assert (await gateway.ask(LOGIN, {"username": "a"}, leaves=True)).status == 499
        assert gateway.app.asked == []


@pytest.mark.parametrize(
    "path",
    ["//api/token/", "/api//token/", "/api/token//", "/api%2F%2Ftoken/", "/api%5Ctoken/",
     "/api/./token/", "/api/x/../token/"],
)  # fmt: skip
async def test_nobody_gets_at_the_apps_view_by_another_spelling(
    driving: Driving, path: str
) -> None:
    async with driving() as gateway:
        assert (await gateway.ask(path, {})).status == 400
        assert gateway.app.asked == []


@pytest.mark.parametrize("path", ["/api%2Ftoken/", "/%61pi/token/", "/api/token%2f"])
async def test_what_the_app_would_decode_to_the_path_is_the_path(
    driving: Driving, path: str
) -> None:
    async with driving(lambda _: said(pair())) as gateway:
        heard = await gateway.ask(path, {})
        assert claims_of(heard.said["refresh"])["gen"] == 0


async def test_a_path_without_its_slash_is_redirected(driving: Driving) -> None:
    async with driving() as gateway:
        heard = await gateway.ask(LOGIN.rstrip("/") + "?a=b", {"username": "a"})
        assert (heard.status, heard["location"]) == (301, LOGIN + "?a=b")
        assert gateway.app.asked == []


async def test_preflights_are_the_apps(driving: Driving) -> None:
    preflight = (("origin", "https://x.example"), ("access-control-request-method", "POST"))
    async with driving(lambda _: said(b"", 200, "Access-Control-Allow-Origin: *")) as gateway:
        for path in (LOGIN, REFRESH, LOGOUT_ALL, LOGIN.rstrip("/")):
            heard = await gateway.ask(path, b"", *preflight, method="OPTIONS")
            assert heard["access-control-allow-origin"] == "*"
        assert len(gateway.app.asked) == 4


async def test_a_published_key_that_cant_be_had_is_a_503(driving: Driving) -> None:
    issuer = "jwk_url: 'http://127.0.0.1:9/jwks', algorithm: RS256"
    claims = claims_of(pair()["refresh"])
    tokens = {"refresh": sign(claims, private_pem(rsa_key()), "RS256", kid="k")}
    async with driving(lambda _: said(tokens), issuer=issuer) as gateway:
        heard = await gateway.log_in()
    assert heard.status == 503
    assert heard["retry-after"] is not None
    assert heard.said == {"detail": "Service temporarily unavailable, try again later."}


# The guard


async def _guess(gateway: Any, count: int, **fields: Any) -> list[int]:
    return [(await gateway.log_in(**fields)).status for _ in range(count)]


def _refusing(asked: Asked) -> bytes:
    body = json.loads(asked.body or b"{}")
    if body.get("username") == "mallory" and body.get("password") == "own":
        return said(pair(user_id="9"))
    return said({"detail": "No active account"}, 401)


async def test_the_tenth_failure_bars_the_name(driving: Driving) -> None:
    async with driving(_refusing) as gateway:
        assert await _guess(gateway, 10) == [401] * 10
        heard = await gateway.log_in()
        assert heard.status == 429
        wait = heard["retry-after"]
        assert heard.said == {
            "detail": f"Request was throttled. Expected available in {wait} seconds."
        }
        assert len(gateway.app.asked) == 10
        again = await gateway.log_in()
        assert int(again["retry-after"] or 0) > int(wait or 0)


GUARD = f"signing_key: {SECRET}, login_guard: {{failures: 3}}"
PEERS = [f"192.0.2.{number}" for number in range(40)]


@pytest.mark.parametrize(
    "spelling",
    ["ALICE", " alice ", "ａlice", "alice\u00a0", {"email": "alice", "username": "bob"}],
    ids=["case", "spaces", "full width", "no-break space", "as email"],
)
async def test_another_spelling_is_the_same_name(driving: Driving, spelling: Any) -> None:
    fields = spelling if isinstance(spelling, dict) else {"username": spelling}
    async with driving(_refusing, issuer=GUARD) as gateway:
        for peer in PEERS[:3]:
            await gateway.ask(LOGIN, {"username": "alice", "password": "x"}, peer=peer)
        heard = await gateway.ask(LOGIN, {**fields, "password": "x"}, peer=PEERS[9])
        assert heard.status == 429


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"username": "bob", "username": "alice"}', "application/json"),
        (b"username=bob&username=alice", "application/x-www-form-urlencoded"),
        (
            b'--b\r\nContent-Disposition: form-data; name="username"\r\n\r\nalice\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        ('{"username": "alice"}'.encode("utf-16"), "application/json; charset=utf-16"),
        (b'{"username": "\\u0061lice"}', "application/json"),
    ],
    ids=["twice in JSON", "twice in a form", "multipart", "UTF-16", "escaped"],
)
async def test_the_name_is_read_as_the_app_reads_it(
    driving: Driving, body: bytes, kind: str
) -> None:
    async with driving(lambda _: said({}, 401), issuer=GUARD) as gateway:
        for peer in PEERS[:3]:
            await gateway.ask(LOGIN, {"username": "alice", "password": "x"}, peer=peer)
        heard = await gateway.ask(LOGIN, body, peer=PEERS[9], content_type=kind)
        assert heard.status == 429


_PART = b"--b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n--b"
_NAMED = b'name="username"'


# Django 5.2 reads alice in each of them, and a guesser can write a name so in endless ways.
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"username": "+AGEAbABpAGMAZQ-"}', "application/json; charset=utf-7"),
        ('{"username": "alice"}'.encode("cp037"), "application/json; charset=cp037"),
        (
            b"\xef\xbb\xbf" + b'{"username": "alice"}',
            "application/json; charset=utf-8-sig",
        ),
        (
            _PART % (_NAMED + b"\r\nContent-Transfer-Encoding: base64", b"YWxp Y2U=") + b"--",
            "multipart/form-data; boundary=b",
        ),
        (
            _PART % (b"name*=utf-8''username", b"alice") + b"--",
            "multipart/form-data; boundary=b",
        ),
        (b"junk" + _PART % (_NAMED, b"alice") + b"--", "multipart/form-data; boundary=b"),
        (_PART % (_NAMED, b"alice"), "multipart/form-data; boundary=b"),
    ],
    ids=["UTF-7", "EBCDIC", "BOM", "base64", "name*", "a preamble", "an open end"],
)
async def test_no_spelling_of_a_body_hides_the_name(
    driving: Driving, body: bytes, kind: str
) -> None:
    async with driving(lambda _: said({}, 401), issuer=GUARD) as gateway:
        for peer in PEERS[:3]:
            await gateway.ask(LOGIN, {"username": "alice", "password": "x"}, peer=peer)
        await gateway.ask(LOGIN, body, peer=PEERS[9], content_type=kind)
        assert len(gateway.app.asked) == 3


@pytest.mark.parametrize("name", [["alice"], {"a": 1}, None, True, 7, "", "\0"], ids=repr)
async def test_who_names_nobody_is_counted_by_address(driving: Driving, name: object) -> None:
    async with driving(lambda _: said({}, 400), issuer=GUARD) as gateway:
        assert await _guess(gateway, 4, username=name) == [400, 400, 400, 429]


async def test_a_success_clears_its_name_and_not_the_address(driving: Driving) -> None:
    async with driving(_refusing, issuer=GUARD) as gateway:
        own = {"username": "mallory", "password": "own"}
        assert await _guess(gateway, 2, username="mallory") == [401, 401]
        assert await _guess(gateway, 1, **own) == [200]
        assert await _guess(gateway, 1, username="alice") == [401]
        assert await _guess(gateway, 1, **own) == [429]


async def test_a_success_clears_no_name_of_somebody_else(driving: Driving) -> None:
    async with driving(_refusing, issuer=GUARD) as gateway:
        guess = {"username": "alice", "password": "guess"}
        own = {"username": "mallory", "email": "alice", "password": "own"}
        for turn in range(6):
            heard = await gateway.ask(LOGIN, guess, peer=PEERS[2 * turn])
            if heard.status == 429:
                return
            await gateway.ask(LOGIN, own, peer=PEERS[2 * turn + 1])
        pytest.fail("six guesses at one name, where three failures bar it")


async def test_guesses_at_once_are_no_more_than_one_after_the_other(driving: Driving) -> None:
    async with driving(_refusing, issuer=GUARD) as gateway:
        guess = {"username": "alice", "password": "x"}
        heard = await asyncio.gather(*(gateway.ask(LOGIN, guess, peer=p) for p in PEERS[:12]))
        assert sorted(one.status for one in heard) == [401] * 3 + [429] * 9
        assert len(gateway.app.asked) == 3


async def test_what_is_no_guess_is_not_counted(driving: Driving) -> None:
    async with driving(lambda _: said({}, 500), issuer=GUARD) as gateway:
        assert await _guess(gateway, 6) == [500] * 6


async def test_an_outage_of_the_store_leaves_the_guard_on(driving: Driving) -> None:
    async with driving(_refusing, issuer=GUARD) as gateway:
        gateway.store.is_away = True
        assert await _guess(gateway, 4) == [401, 401, 401, 429]


async def test_no_password_and_no_token_is_logged(
    driving: Driving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with driving(lambda _: said(pair())) as gateway:
        own = (await gateway.log_in(password="hunter2-hunter2")).said
        renewed = (await gateway.refresh(own["refresh"])).said
        await gateway.refresh(own["access"])
        await gateway.call("x" + renewed["access"])
        await gateway.ask(LOGOUT_ALL, {"refresh": renewed["refresh"]})
    assert "hunter2" not in caplog.text
    assert "eyJ" not in caplog.text


async def test_a_proxy_that_is_not_trusted_is_told_once(
    driving: Driving, caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(lambda _: said(pair())) as gateway:
        for _ in range(2):
            heard = await gateway.ask(LOGIN, {}, ("x-forwarded-for", "192.0.2.7"))
            assert heard.status == 200
    assert caplog.text.count("not in server.trusted_proxies") == 1
