"""The application is plain ASGI: any server may run it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.app import create_app
from gateway.config.load import load
from gateway.errors import AuthenticationFailed
from tests.endpoints.driving import pair
from tests.factories import SECRET
from tests.servers import ScriptedUpstream, answering, scripted

CONFIG = """
logging: {{access_log: false}}
upstreams: {{app: {{servers: ["http://127.0.0.1:{port}"]}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""


class Server:
    """The least of an ASGI server."""

    def __init__(self, upstream: ScriptedUpstream, directory: Path) -> None:
        file = directory / "config.yaml"
        file.write_text(CONFIG.format(port=upstream.port))
        self.app = create_app(load(file, environ={}).config)
        self.phase: asyncio.Queue[str] = asyncio.Queue()
        self.said: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> "Server":
        async def receive() -> dict[str, str]:
            return {"type": await self.phase.get()}

        async def send(message: Any) -> None:
            await self.said.put(message["type"])

        self.task = asyncio.create_task(self.app({"type": "lifespan"}, receive, send))
        await self.phase.put("lifespan.startup")
        assert await self.said.get() == "lifespan.startup.complete"
        assert self.app.unready_because() is None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.phase.put("lifespan.shutdown")
        assert await self.said.get() == "lifespan.shutdown.complete"
        assert self.app.unready_because() is not None
        await self.task

    async def request(self, **scope: Any) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(30)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        full = {
            "type": "http", "method": "GET", "scheme": "http", "path": "/a b", "query_string": b"",
            "headers": [(b"host", b"example.org")], "client": None, "http_version": "1.1",
        } | scope  # fmt: skip
        await self.app(full, receive, send)
        return sent


@pytest.mark.parametrize(
    ("scope", "line"),
    [
        ({}, b"GET /a%20b HTTP/1.1"),
        ({"raw_path": b"/a%20b%2Fc", "query_string": b"d=e"}, b"GET /a%20b%2Fc?d=e HTTP/1.1"),
        ({"raw_path": None, "path": "/é"}, b"GET /%C3%A9 HTTP/1.1"),
        ({"http_version": "2", "path": "/x"}, b"GET /x HTTP/1.1"),
    ],
)
async def test_the_target_is_made_of_what_the_server_gives(
    tmp_path: Path, scope: dict[str, Any], line: bytes
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with scripted(answering(answer)) as upstream, Server(upstream, tmp_path) as server:
        sent = await server.request(**scope)
        assert upstream.heads[0].startswith(line + b"\r\n")
        assert sent[0]["status"] == 200
        assert sent[0]["headers"] == [(b"Content-Length", b"2")]
        assert b"".join(message["body"] for message in sent[1:]) == b"ok"
        assert not sent[-1].get("more_body")


async def test_other_servers_get_neither_interim_answers_nor_a_length_of_nothing(
    tmp_path: Path,
) -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
    )
    async with scripted(answering(answer)) as upstream, Server(upstream, tmp_path) as server:
        sent = await server.request()
        assert [message["type"] for message in sent] == [
            "http.response.start",
            "http.response.body",
        ]
        assert sent[0]["headers"] == []


async def test_a_websocket_is_turned_away(tmp_path: Path) -> None:
    async with scripted(answering(b"")) as upstream, Server(upstream, tmp_path) as server:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await server.app({"type": "websocket"}, None, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_logout_is_obeyed_without_a_lifespan(tmp_path: Path) -> None:
    """Where nobody calls `start`, what is in memory works all the same."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"logging: {{access_log: false}}\nissuers: {{main: {{signing_key: {SECRET}}}}}\n"
        'upstreams: {app: {servers: ["http://127.0.0.1:1"]}}\n'
        "routes: [{path: /, issuers: [main], upstream: app}]\n"
    )
    gateway = create_app(load(file, environ={}).config)
    sessions = gateway.sessions["main"]
    tokens = await sessions.begin(pair())
    assert await sessions.verify(tokens["access"])
    await sessions.end(tokens["refresh"])
    with pytest.raises(AuthenticationFailed):
        await sessions.verify(tokens["access"])
