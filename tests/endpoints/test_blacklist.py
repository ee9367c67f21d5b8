"""Logout, of one session and of all: who may ask for it, and what is over then."""

import time
from typing import Any

import pytest

from tests.endpoints.conftest import Driving
from tests.endpoints.driving import (
    LOGIN,
    LOGOUT,
    LOGOUT_ALL,
    REFRESH,
    VERIFY,
    Asked,
    Driven,
    claims_of,
    pair,
    said,
)
from tests.factories import SECRET, jwk, private_pem, rsa_key, sign
from tests.tokens.key_server import KeyServer

BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}


def drf_jwt(**changes: Any) -> str:
    now = int(time.time())
    claims = {
        "username": "alice", "iat": now, "exp": now + 300, "user_id": 1, "orig_iat": now,
        "jti": "0f8fad5b-d9cb-469f-a165-708677289500",
    }  # fmt: skip
    return sign({**claims, **changes})


async def test_logout_ends_the_session_once(gateway: Driven) -> None:
    tokens = (await gateway.refresh(pair()["refresh"])).said
    heard = await gateway.ask(LOGOUT, {"refresh": tokens["refresh"]})
    assert (heard.status, heard.said) == (200, {})
    again = await gateway.ask(LOGOUT, {"refresh": tokens["refresh"]})
    assert (again.status, again.said) == (401, BLACKLISTED)
    assert (await gateway.refresh(tokens["refresh"])).said == BLACKLISTED
    assert (await gateway.call(tokens["access"])).status == 401
    verified = await gateway.ask(VERIFY, {"token": tokens["access"]})
    assert verified.status == 400


async def test_the_parent_logs_out_too_while_it_is_good(gateway: Driven) -> None:
    old = pair()["refresh"]
    tokens = (await gateway.refresh(old)).said
    assert (await gateway.ask(LOGOUT, {"refresh": old})).status == 200
    assert (await gateway.refresh(tokens["refresh"])).status == 401
    assert (await gateway.call(tokens["access"])).status == 401


@pytest.mark.parametrize(
    "path",
    [
        LOGOUT,
        pytest.param(
            LOGOUT_ALL,
        ),
    ],
)
async def test_an_access_token_in_the_body_ends_nothing(gateway: Driven, path: str) -> None:
    access = (await gateway.refresh(pair()["refresh"])).said["access"]
    heard = await gateway.ask(path, {"refresh": access})
    assert heard.status == 401
    assert (await gateway.call(access)).status == 200


async def test_drf_jwt_asks_for_the_bearer(driving: Driving) -> None:
    async with driving(issuer=f"signing_key: {SECRET}, profile: drf-jwt") as gateway:
        token = drf_jwt()
        heard = await gateway.ask(LOGOUT, {"token": token})
        assert heard.status == 401
        assert (await gateway.call(token)).status == 200
        bearer = ("authorization", f"Bearer {token}")
        heard = await gateway.ask(LOGOUT, {"token": token}, bearer)
        assert (heard.status, heard.said) == (201, {"token": token})
        assert (await gateway.call(token)).status == 403


async def test_drf_jwt_takes_the_bearers_own_token_without_a_body(driving: Driving) -> None:
    async with driving(issuer=f"signing_key: {SECRET}, profile: drf-jwt") as gateway:
        bearer = ("authorization", f"Bearer {drf_jwt()}")
        assert (await gateway.ask(LOGOUT, b"", bearer)).status == 201
        assert (await gateway.ask(LOGOUT, b"", bearer)).status == 403


async def test_a_refreshed_single_token_ends_with_its_successor(driving: Driving) -> None:
    async with driving(issuer=f"signing_key: {SECRET}, profile: drf-jwt") as gateway:
        old = drf_jwt()
        new = (await gateway.ask(REFRESH, {"token": old})).said["token"]
        bearer = ("authorization", f"Bearer {new}")
        assert (await gateway.ask(LOGOUT, {"token": new}, bearer)).status == 201
        assert (await gateway.call(old)).status == 403
        assert (await gateway.call(new)).status == 403


# All sessions


@pytest.mark.parametrize("by", ["access token", "refresh token"])
async def test_all_sessions_of_the_bearer_end(gateway: Driven, by: str) -> None:
    first, second = [(await gateway.refresh(pair()["refresh"])).said for _ in range(2)]
    other = (await gateway.refresh(pair(user_id="2")["refresh"])).said
    if by == "access token":
        bearer = ("authorization", f"Bearer {first['access']}")
        heard = await gateway.ask(LOGOUT_ALL, b"", bearer)
    else:
        heard = await gateway.ask(LOGOUT_ALL, {"refresh": first["refresh"]})
    assert (heard.status, heard.said) == (200, {})
    for tokens in (first, second):
        assert (await gateway.call(tokens["access"])).status == 401
        assert (await gateway.refresh(tokens["refresh"])).said == BLACKLISTED
    assert (await gateway.call(other["access"])).status == 200
    assert (await gateway.refresh(other["refresh"])).status == 200


async def test_who_logs_in_at_once_again_is_let_in(driving: Driving) -> None:
    def app(asked: Asked) -> bytes:
        return said(pair()) if asked.target == LOGIN else said({})

    async with driving(app) as gateway:
        old = (await gateway.log_in()).said
        assert (await gateway.ask(LOGOUT_ALL, {"refresh": old["refresh"]})).status == 200
        assert (await gateway.call(old["access"])).status == 401
        again = (await gateway.log_in()).said
        assert (await gateway.call(again["access"])).status == 200
        assert (await gateway.ask(VERIFY, {"token": again["refresh"]})).status == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [([], {}), ([("authorization", "Bearer a.b.c")], {}), ([], {"refresh": "a.b.c"})],
    ids=["nobody", "bad bearer", "bad token"],
)
async def test_nobody_in_particular_ends_nothing(
    gateway: Driven, headers: list[tuple[str, str]], body: Any
) -> None:
    assert (await gateway.ask(LOGOUT_ALL, body, *headers)).status == 401


async def test_a_refresh_token_that_was_spent_long_before_gives_itself_away(
    gateway: Driven,
) -> None:
    old, other = pair()["refresh"], (await gateway.refresh(pair()["refresh"])).said
    tokens = (await gateway.refresh(old)).said
    tokens = (await gateway.refresh(tokens["refresh"])).said
    assert (await gateway.ask(LOGOUT_ALL, {"refresh": old})).status == 401
    assert (await gateway.call(tokens["access"])).status == 401
    assert (await gateway.call(other["access"])).status == 200


async def test_the_parent_of_the_newest_ends_all_within_its_grace(gateway: Driven) -> None:
    """Its client may not have got the answer to its refresh."""
    old = pair()["refresh"]
    tokens = (await gateway.refresh(old)).said
    assert (await gateway.ask(LOGOUT_ALL, {"refresh": old})).status == 200
    assert (await gateway.call(tokens["access"])).status == 401


async def test_a_stale_bearer_beside_a_good_refresh_token(gateway: Driven) -> None:
    stale = sign({**claims_of(pair()["access"]), "exp": int(time.time()) - 5})
    heard = await gateway.ask(
        LOGOUT_ALL, {"refresh": pair()["refresh"]}, ("authorization", f"Bearer {stale}")
    )
    assert heard.status == 200


async def test_another_schemes_credentials_are_nobodys(gateway: Driven) -> None:
    heard = await gateway.ask(LOGOUT_ALL, b"", ("authorization", "Basic YTpi"))
    assert heard.status == 401


async def test_a_key_that_cant_be_had_is_a_503(driving: Driving) -> None:
    access = sign(claims_of(pair()["access"]), private_pem(rsa_key()), "RS256", kid="new")
    issuer = "jwk_url: 'http://127.0.0.1:9/jwks', algorithm: RS256"
    async with driving(issuer=issuer) as gateway:
        heard = await gateway.ask(LOGOUT_ALL, b"", ("authorization", f"Bearer {access}"))
    assert heard.status == 503
    assert heard["retry-after"] is not None


async def test_a_new_key_is_fetched_for_the_bearer(driving: Driving) -> None:
    server = KeyServer()
    try:
        server.publish(jwk(rsa_key(0), "old"))
        issuer = f"jwk_url: '{server.url}', algorithm: RS256"
        async with driving(issuer=issuer) as gateway:
            server.publish(jwk(rsa_key(1), "new"))
            source = gateway.gateway._issuers["students"].source
            assert source is not None
            source._monotonic = lambda: time.monotonic() + 600  # another fetch is due
            claims = claims_of(pair()["access"])
            access = sign(claims, private_pem(rsa_key(1)), "RS256", kid="new")
            heard = await gateway.ask(LOGOUT_ALL, b"", ("authorization", f"Bearer {access}"))
            assert heard.status == 200
    finally:
        server.close()
