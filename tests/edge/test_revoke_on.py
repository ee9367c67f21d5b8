"""`revoke_on`: a success of the app at a listed path ends its bearer's sessions."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.endpoints.conftest import Driving, driving
from tests.endpoints.driving import LOGIN, Asked, Driven, pair, said
from tests.factories import SECRET
from tests.servers import RunningGateway, Script, Upstreamed, gateway_running, scripted

CHANGE = "/password/change/"
ISSUER = f"signing_key: {SECRET}, revoke_on: [{{path: {CHANGE}}}]"

__all__ = ["driving"]  # the fixture


def changing(status: int = 204) -> object:
    def app(asked: Asked) -> bytes:
        if asked.target == LOGIN:
            return said(pair())
        return said(b"", status if asked.target.startswith(CHANGE) else 200)

    return app


async def request(gateway: Driven, token: str, path: str = CHANGE, method: str = "POST") -> int:
    heard = await gateway.ask(path, {}, ("authorization", f"Bearer {token}"), method=method)
    return heard.status


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_a_success_ends_all_sessions(driving: Driving, status: int) -> None:
    async with driving(changing(status), issuer=ISSUER) as gateway:
        first, second = [(await gateway.log_in()).said for _ in range(2)]
        other = (await gateway.refresh(pair(user_id="2")["refresh"])).said
        assert await request(gateway, first["access"]) == status
        for tokens in (first, second):
            assert (await gateway.call(tokens["access"])).status == 401
            assert (await gateway.refresh(tokens["refresh"])).status == 401
        assert (await gateway.call(other["access"])).status == 200


async def test_who_logs_in_afterwards_is_let_in(driving: Driving) -> None:
    async with driving(changing(), issuer=ISSUER) as gateway:
        old = (await gateway.log_in()).said
        await request(gateway, old["access"])
        new = (await gateway.log_in()).said
        assert (await gateway.call(new["access"])).status == 200


@pytest.mark.parametrize("status", [302, 400, 403, 500])
async def test_a_failure_ends_nothing(driving: Driving, status: int) -> None:
    async with driving(changing(status), issuer=ISSUER) as gateway:
        own = (await gateway.log_in()).said
        assert await request(gateway, own["access"]) == status
        assert (await gateway.call(own["access"])).status == 200


@pytest.mark.parametrize(
    ("path", "method", "ends"),
    [
        (CHANGE, "GET", False),
        (CHANGE + "more/", "POST", False),
        (CHANGE + "?next=/", "POST", True),
        ("/password%2Fchange/", "POST", True),
        ("/p%61ssword/change/", "POST", True),
    ],
)
async def test_it_is_that_path_and_method(
    driving: Driving, path: str, method: str, ends: bool
) -> None:
    async with driving(lambda _: said({}), issuer=ISSUER) as gateway:
        own = (await gateway.refresh(pair()["refresh"])).said
        assert await request(gateway, own["access"], path, method) == 200
        assert (await gateway.call(own["access"])).status == (401 if ends else 200)


async def test_nobody_but_the_bearer_is_concerned(driving: Driving) -> None:
    async with driving(changing(), issuer=ISSUER) as gateway:
        assert (await gateway.ask(CHANGE, {})).status == 401
        assert len(gateway.store._ledger._not_before) == 0


@pytest.mark.parametrize("body", [b"", b"changed"], ids=["empty", "with a body"])
async def test_an_outage_is_not_the_clients_business(driving: Driving, body: bytes) -> None:
    """The password is changed: that must be told, and this process obeys at once."""
    async with driving(lambda _: said(body), issuer=ISSUER) as gateway:
        own = (await gateway.refresh(pair()["refresh"])).said
        assert await request(gateway, own["access"]) == 200
        assert (await gateway.call(own["access"])).status == 401


# Whoever leaves before the answer has changed the password all the same

CONFIG = """
logging: {{access_log: false}}
issuers:
  students: {{signing_key: {secret}, revoke_on: [{{path: /password/change/}}]}}
upstreams:
  students: {{servers: ["http://127.0.0.1:{port}"], timeouts: {{read: 300ms}}}}
routes:
  - {{path: /, auth: required, issuers: [students], upstream: students}}
"""


def written(token: str, path: str = CHANGE) -> bytes:
    method = "POST" if path == CHANGE else "GET"
    return (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
        "Connection: close\r\n" + ("Content-Length: 0\r\n" if path == CHANGE else "") + "\r\n"
    ).encode()


async def status_of(gateway: RunningGateway, token: str, path: str) -> bytes:
    return (await gateway.exchange(written(token, path)))[9:12]


async def late(connection: Upstreamed) -> None:
    while b" /password/" in await connection.head():
        await asyncio.sleep(0.2)
        await connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def silent(connection: Upstreamed) -> None:
    if b" /password/" not in await connection.head():
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    else:
        await asyncio.sleep(30)


async def dying(connection: Upstreamed) -> None:
    if b" /password/" not in await connection.head():
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    else:
        connection.reset()


async def test_a_client_that_leaves_before_the_answer_ends_them_too(tmp_path: Path) -> None:
    async with scripted(late) as app:
        config = CONFIG.format(secret=SECRET, port=app.port)
        async with gateway_running(config, tmp_path) as gateway:
            token = pair()["access"]
            client = await gateway.connect()
            await client.send(written(token))
            while not app.heads:
                await asyncio.sleep(0.005)
            await client.close()
            deadline = time.monotonic() + 5
            while await status_of(gateway, token, "/api/") != b"401":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(("script", "status"), [(silent, b"504"), (dying, b"502")])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_an_answer_that_is_lost_may_have_been_a_success(
    tmp_path: Path, script: Script, status: bytes, method: str
) -> None:
    """It is not asked for again either, though a PUT might be: the second answer may differ."""
    async with scripted(script) as app:
        config = CONFIG.format(secret=SECRET, port=app.port).replace(
            "/password/change/}", "/password/change/, methods: [POST, PUT]}"
        )
        async with gateway_running(config, tmp_path) as gateway:
            token = pair()["access"]
            assert await status_of(gateway, token, "/api/") == b"200"
            change = written(token).replace(b"POST", method.encode())
            assert (await gateway.exchange(change))[9:12] == status
            assert sum(b" /password/" in head for head in app.heads) == 1
            assert await status_of(gateway, token, "/api/") == b"401"


async def test_what_never_reached_the_app_ends_nothing(tmp_path: Path) -> None:
    async with scripted(late) as app:
        port = app.port
    config = CONFIG.format(secret=SECRET, port=port)
    async with gateway_running(config, tmp_path) as gateway:
        token = pair()["access"]
        assert await status_of(gateway, token, CHANGE) == b"502"
        assert not gateway.gateway.view.is_revoked(
            gateway.gateway.sessions["students"].issuer.verifier.verify(token.encode())
        )
