"""Refresh and verify as clients see them: in the package's words, and spent only where due."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from tests.endpoints.conftest import Driving
from tests.endpoints.driving import CONFIG, LOGIN, REFRESH, VERIFY, Driven, claims_of, pair, said
from tests.factories import SECRET, sign

BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}
AWAY = {"detail": "Service temporarily unavailable, try again later."}
FORM = "application/x-www-form-urlencoded"

TWO_ISSUERS = """
logging: {{access_log: false}}
store: {{max_staleness: 1h}}
issuers:
  students: {{{issuer}, endpoints: {{{paths}}}}}
  others:
    signing_key: wirelab-secret-key-0123456789abcdefghijklmnopqrstuvwxyz
    endpoints: {{obtain: null, refresh: /others/refresh/, verify: /others/verify/,
      blacklist: /others/logout/, blacklist_all: /others/all/}}
upstreams:
  students: {{servers: ["http://127.0.0.1:{port}"], timeouts: {{connect: 1s, read: {read}}}}}
routes:
  - {{path: /others/, auth: required, issuers: [others], upstream: students}}
  - {{path: /, auth: required, issuers: [students], upstream: students}}
"""


async def test_a_refresh_gives_a_pair_that_works(gateway: Driven) -> None:
    heard = await gateway.refresh(pair(role="x")["refresh"])
    assert heard.status == 200
    assert list(heard.said) == ["access", "refresh"]
    assert heard["x-request-id"] is not None
    assert heard["allow"] == "POST, OPTIONS"
    assert claims_of(heard.said["access"])["role"] == "x"
    assert (await gateway.call(heard.said["access"])).status == 200
    assert (await gateway.refresh(heard.said["refresh"])).status == 200


async def test_racers_get_the_same_answer(gateway: Driven) -> None:
    token = pair()["refresh"]
    heard = await asyncio.gather(*(gateway.refresh(token) for _ in range(20)))
    assert {one.status for one in heard} == {200}
    assert len({one.body for one in heard}) == 1


async def test_a_stale_bearer_is_ignored(gateway: Driven) -> None:
    heard = await gateway.refresh(pair()["refresh"], ("authorization", "Bearer stale"))
    assert heard.status == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"refresh=%b", FORM),
        (b"refresh=x&refresh=%b", FORM),
        (b'{"refresh": "x", "refresh": "%b"}', "application/json"),
        (b'{"refresh": "  %b\\n"}', "application/json"),
        (
            b'--b\r\nContent-Disposition: form-data; name="refresh"\r\n\r\n%b\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ],
    ids=["form", "twice in a form", "twice in JSON", "spaces", "multipart"],
)
async def test_every_kind_of_body_is_read(gateway: Driven, body: bytes, kind: str) -> None:
    token = pair()["refresh"].encode()
    heard = await gateway.ask(REFRESH, body.replace(b"%b", token), content_type=kind)
    assert heard.status == 200


@pytest.mark.parametrize("path", [REFRESH, VERIFY])
async def test_a_body_over_64_kib_is_refused(gateway: Driven, path: str) -> None:
    assert (await gateway.ask(path, b"x" * (64 * 1024 + 1))).status == 413
    big = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 10**6
    kind = "multipart/form-data; boundary=b"
    assert (await gateway.ask(path, big, content_type=kind)).status == 413


async def test_a_client_that_leaves_spends_nothing(gateway: Driven) -> None:
    token = pair()["refresh"]
    assert (await gateway.ask(REFRESH, {"refresh": token}, leaves=True)).status == 499
    assert len(gateway.store._ledger) == 0


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [([("accept", "application/xml")], REFRESH, 406), ([], REFRESH + "?format=xml", 404)],
    ids=["Accept", "format"],
)
async def test_what_cant_be_answered_spends_nothing(
    gateway: Driven, headers: list[tuple[str, str]], path: str, status: int
) -> None:
    heard = await gateway.ask(path, {"refresh": pair()["refresh"]}, *headers)
    assert heard.status == status
    assert len(gateway.store._ledger) == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused_here(gateway: Driven, method: str) -> None:
    heard = await gateway.ask(REFRESH, {"refresh": pair()["refresh"]}, method=method)
    assert (heard.status, heard["allow"]) == (405, "POST, OPTIONS")
    if method == "HEAD":
        assert heard.body == b""
    else:
        assert heard.said == {"detail": f'Method "{method}" not allowed.'}
    assert gateway.app.asked == []


async def test_options_describe_the_view(gateway: Driven) -> None:
    heard = await gateway.ask(REFRESH, method="OPTIONS")
    assert (heard.status, heard.said["name"]) == (200, "Token Refresh")


@pytest.mark.parametrize(
    "path", ["//api/token/refresh/", "/api/token//refresh/", "/api/token/refresh//",
             "/api%2Ftoken%2F%2Frefresh/", "/api/token/refresh%5C"],
)  # fmt: skip
async def test_another_spelling_never_reaches_the_app(gateway: Driven, path: str) -> None:
    assert (await gateway.ask(path, {"refresh": pair()["refresh"]})).status == 400
    assert gateway.app.asked == []


@pytest.mark.parametrize("path", ["/api/token/refresh%2F", "/api/t%6Fken/refresh/"])
async def test_an_encoded_spelling_is_the_same_path(gateway: Driven, path: str) -> None:
    assert (await gateway.ask(path, {"refresh": pair()["refresh"]})).status == 200


@pytest.mark.parametrize(
    ("body", "said_"),
    [
        ({}, {"refresh": ["This field is required."]}),
        ({"refresh": None}, {"refresh": ["This field may not be null."]}),
        ({"refresh": ""}, {"refresh": ["This field may not be blank."]}),
        ({"refresh": ["a"]}, {"refresh": ["Not a valid string."]}),
    ],
    ids=["missing", "null", "blank", "list"],
)
async def test_what_is_no_token_is_a_400(gateway: Driven, body: Any, said_: Any) -> None:
    heard = await gateway.ask(REFRESH, body)
    assert (heard.status, heard.said) == (400, said_)


async def test_an_access_token_never_refreshes_nor_the_reverse(gateway: Driven) -> None:
    tokens = pair()
    heard = await gateway.refresh(tokens["access"])
    assert (heard.status, heard.said["detail"]) == (401, "Token has wrong type")
    assert (await gateway.call(tokens["refresh"])).status == 401


async def test_reuse_is_told_as_blacklisted_and_ends_everything(gateway: Driven) -> None:
    old = pair()["refresh"]
    first = (await gateway.refresh(old)).said
    await gateway.refresh(first["refresh"])
    heard = await gateway.refresh(old)
    assert (heard.status, heard.said) == (401, BLACKLISTED)
    assert heard["www-authenticate"] == 'Bearer realm="api"'
    assert (await gateway.refresh(first["refresh"])).said == BLACKLISTED
    refused = await gateway.call(first["access"])
    assert refused.status == 401
    verified = await gateway.ask(VERIFY, {"token": first["refresh"]})
    assert (verified.status, verified.said) == (
        400,
        {"non_field_errors": ["Token is blacklisted"]},
    )


# Outages


@pytest.mark.parametrize(
    ("path", "field"),
    [(REFRESH, "refresh"), ("/api/token/blacklist/", "refresh"), (VERIFY, "token"),
     ("/api/token/blacklist_all/", "refresh")],
    ids=["refresh", "blacklist", "verify", "blacklist_all"],
)  # fmt: skip
async def test_an_outage_is_a_503_in_the_packages_words(
    gateway: Driven, path: str, field: str
) -> None:
    token = pair()["refresh"]
    gateway.store.is_away = True
    heard = await gateway.ask(path, {field: token})
    assert (heard.status, heard.said) == (503, AWAY)
    assert heard["retry-after"] == "1"
    assert heard["x-request-id"] is not None
    gateway.store.is_away = False
    assert (await gateway.ask(path, {field: token})).status == 200


async def test_access_tokens_need_no_store(gateway: Driven) -> None:
    tokens = (await gateway.refresh(pair()["refresh"])).said
    gateway.store.is_away = True
    assert (await gateway.call(tokens["access"])).status == 200
    assert (await gateway.ask(VERIFY, {"token": tokens["access"]})).status == 200


# check_user

CHECKED = f"signing_key: {SECRET}, check_user: /me/"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_user_whom_the_app_disowns_is_logged_out(driving: Driving, status: int) -> None:
    answers = [status]
    async with driving(lambda _: said({}, answers[0]), issuer=CHECKED) as gateway:
        token = pair()["refresh"]
        heard = await gateway.refresh(token)
        assert (heard.status, heard.said["detail"]) == (
            401,
            "No active account found for the given token.",
        )
        [asked] = gateway.app.asked
        assert (asked.method, asked.target, asked.body) == ("GET", "/me/", b"")
        assert asked.field("authorization").startswith("Bearer ey")
        assert asked.field("cookie") == ""
        answers[0] = 200
        assert (await gateway.refresh(token)).said == BLACKLISTED


@pytest.mark.parametrize("status", [500, 404, 302, None], ids=["500", "404", "302", "broken"])
async def test_an_app_that_cant_tell_is_a_502_and_nothing_is_spent(
    driving: Driving, status: int | None
) -> None:
    answers: list[int | None] = [status]
    issuer = f"{CHECKED}, refresh_grace: 0s"
    async with driving(
        lambda _: None if answers[0] is None else said({}, answers[0]), issuer=issuer
    ) as gateway:
        token = pair()["refresh"]
        assert (await gateway.refresh(token)).status == 502
        answers[0] = 200
        heard = await gateway.refresh(token)
        assert (heard.status, claims_of(heard.said["refresh"])["gen"]) == (200, 1)


async def test_an_app_that_is_gone_is_a_502_too(driving: Driving) -> None:
    async with driving(issuer=CHECKED, config=CONFIG.replace("{port}", "9")) as gateway:
        assert (await gateway.refresh(pair()["refresh"])).status == 502


async def test_the_apps_token_of_the_question_is_not_given_away(driving: Driving) -> None:
    """It is of no generation: what the client gets is another."""
    async with driving(lambda _: said({}), issuer=CHECKED) as gateway:
        heard = await gateway.refresh(pair()["refresh"])
        trial = gateway.app.asked[0].field("authorization").removeprefix("Bearer ")
        assert heard.said["access"] != trial


# Other issuers


@pytest.mark.parametrize("path", ["/others/refresh/", "/others/logout/"])
async def test_a_session_of_another_issuer_is_none_here(driving: Driving, path: str) -> None:
    """Even where both share a secret, and nothing else tells their tokens apart."""
    async with driving(lambda _: said(pair()), config=TWO_ISSUERS) as gateway:
        own = (await gateway.log_in()).said
        assert (await gateway.ask(path, {"refresh": own["refresh"]})).said == BLACKLISTED
        assert (await gateway.refresh(own["refresh"])).status == 200


async def test_the_same_id_at_two_issuers_is_two_sessions(driving: Driving) -> None:
    async with driving(config=TWO_ISSUERS) as gateway:
        token = pair()["refresh"]
        assert (await gateway.ask("/others/logout/", {"refresh": token})).status == 200
        assert (await gateway.refresh(token)).status == 200


# Plain JWT, sliding and the older packages


async def test_sliding_tokens_are_refreshed_within_their_window(driving: Driving) -> None:
    issuer = f"signing_key: {SECRET}, auth_token_classes: [SlidingToken]"
    now = int(time.time())
    claims = {
        "token_type": "sliding", "exp": now + 300, "iat": now - 5, "jti": uuid4().hex,
        "refresh_exp": now + 86400, "user_id": "1",
    }  # fmt: skip
    async with driving(issuer=issuer) as gateway:
        heard = await gateway.ask(REFRESH, {"token": sign(claims)})
        assert list(heard.said) == ["token"]
        renewed = claims_of(heard.said["token"])
        assert renewed["refresh_exp"] == claims["refresh_exp"]
        assert (await gateway.call(heard.said["token"])).status == 200
        over = sign({**claims, "refresh_exp": now - 1, "jti": "x"})
        assert (await gateway.ask(REFRESH, {"token": over})).said["detail"] == (
            "Token 'refresh_exp' claim has expired"
        )


async def test_an_outage_speaks_each_profiles_language(driving: Driving) -> None:
    now = int(time.time())
    claims = {"sub": "u", "exp": now + 99, "iat": now, "jti": "j", "token_type": "refresh"}
    async with driving(issuer=f"signing_key: {SECRET}, profile: jwt") as gateway:
        gateway.store.is_away = True
        heard = await gateway.refresh(sign(claims))
        assert (heard.status, heard.said["code"]) == (503, "store_unavailable")
        assert heard["content-type"] == "application/problem+json"
        assert heard["retry-after"] == "1"


@pytest.mark.parametrize("name", [LOGIN, REFRESH])
async def test_a_path_without_slash_never_reaches_the_app(gateway: Driven, name: str) -> None:
    heard = await gateway.ask(name.rstrip("/"), {"refresh": pair()["refresh"]})
    assert (heard.status, heard["location"]) == (301, name)
    assert gateway.app.asked == []
