"""What the gateway answers itself, by both lanes, is readable for the pages that `cors` names."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.edge.cross_origin import READABLE, ask, crossed, request, said_of_cors
from tests.endpoints.driving import pair
from tests.factories import private_pem, rsa_key, sign
from tests.servers import Upstreamed, answering

EXPIRED = sign({"token_type": "access", "exp": 1, "iat": 0, "jti": "a", "user_id": "1"})
FOREIGN = sign(
    {"sub": "1", "exp": int(time.time()) + 300}, private_pem(rsa_key()), "RS256", kid="k"
)
REFUSED = {
    "no token": (401, [request("/api/")]),
    "an expired token": (401, [request("/api/", f"Authorization: Bearer {EXPIRED}")]),
    "no keys for it": (503, [request("/away/", f"Authorization: Bearer {FOREIGN}")]),
    "too often": (429, [request("/few/"), request("/few/")]),
    "too large": (413, [request("/open/", "Content-Length: 1025", method="POST")]),
    "a slow body": (408, [request("/open/", "Content-Length: 2", method="POST") + b"x"]),
    "a dead upstream": (502, [request("/gone/")]),
    "no JSON at the refresh": (415, [request("/api/refresh/", method="POST", body=b"{")]),
    "a bad refresh token": (
        401,
        [
            request(
                "/api/refresh/", "Content-Type: application/json", method="POST",
                body=b'{"refresh": "a.b.c"}',
            )
        ],
    ),
    "another method": (405, [request("/api/refresh/", method="PUT", body=b"x")]),
    "no slash": (301, [request("/api/refresh", method="POST", body=b"{}")]),
}  # fmt: skip


@pytest.mark.parametrize(("status", "requests"), REFUSED.values(), ids=REFUSED)
async def test_a_page_can_read_every_refusal(
    tmp_path: Path, status: int, requests: list[bytes]
) -> None:
    async with crossed(tmp_path) as (gateway, _):
        answered, fields = await ask(gateway, *requests)

        assert (answered, said_of_cors(fields)) == (status, READABLE)
        assert fields["vary"].split(", ")[-1] == "Origin"
        assert "x-request-id" in fields


@pytest.mark.parametrize(("status", "requests"), REFUSED.values(), ids=REFUSED)
async def test_another_origin_reads_none(
    tmp_path: Path, status: int, requests: list[bytes]
) -> None:
    requests = [each.replace(b"//app.example", b"//evil.example") for each in requests]
    async with crossed(tmp_path) as (gateway, _):
        answered, fields = await ask(gateway, *requests)

        assert (answered, said_of_cors(fields)) == (status, {})
        assert fields["vary"].split(", ")[-1] == "Origin"


async def test_an_upstream_that_is_late_or_busy_is_told_readably(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.reader.read()  # until it is given up

    async with crossed(tmp_path, script) as (gateway, upstream):
        late = asyncio.create_task(ask(gateway, request("/open/")))
        while not upstream.heads:
            await asyncio.sleep(0.005)
        busy, fields = await ask(gateway, request("/open/"))
        assert (busy, said_of_cors(fields)) == (503, READABLE)
        assert fields["retry-after"] == "1"
        status, fields = await late
        assert (status, said_of_cors(fields)) == (504, READABLE)


async def test_what_a_stop_cuts_is_told_readably(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.reader.read()

    async with crossed(tmp_path, script) as (gateway, upstream):
        cut = asyncio.create_task(ask(gateway, request("/open/")))
        while not upstream.heads:
            await asyncio.sleep(0.005)
        state = gateway.server.server_state
        for task in state.tasks:  # as the server does when the time for a stop is over
            task.cancel()
        for connection in state.connections:
            connection.give_up()  # type: ignore[union-attr]
        status, fields = await cut
        assert (status, said_of_cors(fields)) == (503, READABLE)


@pytest.mark.replaces_code
async def test_a_defect_is_told_readably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    async with crossed(tmp_path) as (gateway, _):
        monkeypatch.setattr("gateway.proxy.Proxy._compose", broken)
        status, fields = await ask(gateway, request("/open/"))
        assert (status, said_of_cors(fields)) == (500, READABLE)


async def test_a_login_is_readable(tmp_path: Path) -> None:
    tokens = str(pair()).replace("'", '"').encode()
    login = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nVary: Accept\r\n"
        b"Access-Control-Allow-Origin: *\r\nContent-Length: %d\r\n\r\n%b" % (len(tokens), tokens)
    )
    async with crossed(tmp_path, answering(login)) as (gateway, _):
        asked = request("/api/token/", "Content-Type: application/json", method="POST", body=b"{}")
        status, fields = await ask(gateway, asked)
        assert (status, said_of_cors(fields)) == (200, READABLE)
        assert fields["vary"] == "Accept, Origin"


@pytest.mark.parametrize("path", ["/verify/", "/own/x%0a", "/nowhere/"])
async def test_without_a_route_with_cors_nothing_is_echoed(tmp_path: Path, path: str) -> None:
    async with crossed(tmp_path) as (gateway, _):
        status, fields = await ask(gateway, request(path, method="PUT", body=b"x"))
        assert 400 <= status < 500
        assert said_of_cors(fields) == {}
        assert "rigin" not in fields.get("vary", "")
