"""Requests that come by a unix socket: whoever may open it is a trusted proxy."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import RunningGateway, ScriptedUpstream, answering, gateway_running, scripted

CONFIG = """
logging: {{access_log: false}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{port}"]}}
routes:
  - {{path: /few, auth: none, upstream: app, rate_limit: {{rate: 1/h, burst: 1, per: ip}}}}
  - {{path: /, auth: none, upstream: app}}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Site:
    gateway: RunningGateway
    app: ScriptedUpstream

    async def ask(self, path: str, *fields: str, method: str = "GET") -> tuple[int, str]:
        lines = [f"{method} {path} HTTP/1.1", "Host: example.org", "Connection: close", *fields]
        answer = await self.gateway.exchange("\r\n".join([*lines, "", ""]).encode())
        return int(answer[9:12]), answer.decode()

    def told(self) -> dict[str, str]:
        """The header of the last request that came to the app."""
        lines = self.app.heads[-1].decode().strip().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with (
        scripted(answering(OK)) as app,
        gateway_running(
            CONFIG.format(port=app.port), tmp_path, at=tmp_path / "gateway.sock"
        ) as gateway,
    ):
        yield Site(gateway, app)


async def test_what_it_says_of_its_client_is_believed(site: Site) -> None:
    status, _ = await site.ask(
        "/",
        "X-Forwarded-For: 6.6.6.6, 203.0.113.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: shop.example",
        "X-Request-Id: from-nginx",
    )
    assert status == 200
    told = site.told()
    # The socket has no address that could stand behind the client's.
    assert told["x-forwarded-for"] == "6.6.6.6, 203.0.113.7"
    assert (told["x-forwarded-proto"], told["x-forwarded-host"]) == ("https", "shop.example")
    assert told["x-request-id"] == "from-nginx"
    assert told["forwarded"] == 'for=unknown;host="shop.example";proto=https'


async def test_where_it_says_nothing_the_client_is_unknown(site: Site) -> None:
    assert (await site.ask("/"))[0] == 200
    told = site.told()
    assert "x-forwarded-for" not in told
    assert (told["x-forwarded-proto"], told["x-forwarded-host"]) == ("http", "example.org")


async def test_clients_are_told_apart_by_what_it_says(site: Site) -> None:
    asked = [
        (await site.ask("/few", *fields))[0]
        for fields in (
            ["X-Forwarded-For: 203.0.113.7"], ["X-Forwarded-For: 203.0.113.8"],
            ["X-Forwarded-For: 203.0.113.7"], [], [],
        )
    ]  # fmt: skip
    assert asked == [200, 200, 429, 200, 429]  # those of whom nothing is said count as one


async def test_it_may_ask_whether_a_request_may_pass(site: Site) -> None:
    asked = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /x/"]
    assert (await site.ask("/_gateway/authz", *asked))[0] == 200
    assert site.app.heads == []


async def test_a_whole_body_and_a_streamed_one_arrive(site: Site) -> None:
    client = await site.gateway.connect()
    head = b"POST /%b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
    await client.send(head % b"whole" + b"abc")
    assert (await client.head()).startswith(b"HTTP/1.1 200 ")
    assert await client.exactly(2) == b"ok"
    await client.send(head % b"streamed" + b"a")
    await client.send(b"bc")
    assert (await client.head()).startswith(b"HTTP/1.1 200 ")
    await client.close()
    assert [head.split(b" ")[1] for head in site.app.heads] == [b"/whole", b"/streamed"]


async def test_a_client_over_tcp_that_left_at_once_is_not_taken_for_one(tmp_path: Path) -> None:
    """Its request may still be read, though the connection has no address any more."""
    async with (
        scripted(answering(OK)) as app,
        gateway_running(CONFIG.format(port=app.port), tmp_path) as gateway,
    ):
        forged = b"GET /%b HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
        for number in range(50):
            with socket.create_connection(("127.0.0.1", gateway.port)) as leaving:
                leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                leaving.sendall(forged % str(number).encode())
        answer = await gateway.exchange(
            b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert not any(b"6.6.6.6" in head for head in app.heads)
