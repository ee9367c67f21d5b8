"""How WebSockets are opened: decided like any request, spliced behind a real 101 alone."""

import asyncio
from pathlib import Path

import pytest

from gateway.edge.protocol import EdgeProtocol
from gateway.edge.splice import Held
from tests.edge.conftest import is_freed
from tests.edge.sockets import (
    ACCEPT,
    HANDSHAKE,
    KEY,
    OPENED,
    SWITCHING,
    before,
    echo,
    opening,
)
from tests.servers import Upstreamed, answering


@pytest.fixture(autouse=True)
def lane() -> None:
    """One lane alone: handshakes never go by the fast one."""


async def test_the_head_of_the_handshake_goes_on_and_comes_back(tmp_path: Path) -> None:
    async with before(opening(echo), tmp_path) as (gateway, upstream):
        client = await gateway.connect()
        await client.send(HANDSHAKE)
        assert await client.head() == (
            b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %b\r\n"
            b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n" % ACCEPT
        )
        (head,) = upstream.heads
        assert head.startswith(b"GET /ws HTTP/1.1\r\n")
        for line in (
            b"connection: Upgrade", b"upgrade: websocket", b"Sec-WebSocket-Key: " + KEY,
            b"Sec-WebSocket-Version: 13",
        ):  # fmt: skip
            assert head.count(b"\r\n%b\r\n" % line) == 1
        await client.send(b"any bytes")
        assert await client.exactly(9) == b"any bytes"
        await client.close()


@pytest.mark.parametrize(
    "first", [HANDSHAKE.replace(b"/ws", b"/plain"), HANDSHAKE.replace(b"GET", b"POST")]
)
async def test_elsewhere_an_upgrade_is_a_plain_request(tmp_path: Path, first: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with before(answering(answer), tmp_path) as (gateway, upstream):
        got = await gateway.exchange(first + b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got.count(b"HTTP/1.1 ") == 1
        assert got.endswith(b"ok")
        assert b"upgrade: " not in upstream.heads[0].lower()
        assert len(upstream.heads) == 1, "what follows is no request"


@pytest.mark.parametrize(
    "spoilt",
    [
        (b"Upgrade: websocket", b"Upgrade: something"),
        (b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Key: short"),
        (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Key: " % KEY),
        (b"keep-alive, Upgrade", b"keep-alive"),
    ],
)
async def test_half_a_handshake_is_a_plain_request(
    tmp_path: Path, spoilt: tuple[bytes, bytes]
) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
    async with before(answering(answer), tmp_path) as (gateway, upstream):
        request = HANDSHAKE.replace(*spoilt).replace(b"keep-alive", b"close")
        assert (await gateway.exchange(request)).endswith(b"no")
        assert b"upgrade: " not in upstream.heads[0].lower()


async def test_another_answer_than_a_101_is_given_as_plain_http(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nX-Why: so\r\n\r\nnope"
    async with before(answering(answer), tmp_path) as (gateway, _):
        got = await gateway.exchange(HANDSHAKE)
        assert got.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"X-Why: so" in got
        assert got.endswith(b"\r\n\r\nnope")


@pytest.mark.parametrize(
    "answer",
    [
        SWITCHING % b"of another key",
        OPENED.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        OPENED.replace(b"Connection: Upgrade\r\n", b""),
        OPENED.replace(b"Upgrade: websocket\r\n", b""),
    ],
    ids=["accept", "protocol", "connection", "upgrade"],
)
async def test_a_101_to_something_else_is_a_bad_gateway(tmp_path: Path, answer: bytes) -> None:
    async with before(answering(answer), tmp_path) as (gateway, _):
        got = await gateway.exchange(HANDSHAKE)
        assert got.startswith(b"HTTP/1.1 502 ")
        assert b"upstream_broken" in got
        assert await is_freed(gateway)


async def test_a_101_that_nobody_asked_for_is_a_bad_gateway(tmp_path: Path) -> None:
    async with before(answering(OPENED), tmp_path) as (gateway, _):
        got = await gateway.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 502 ")


async def test_what_comes_before_the_101_waits_for_it(tmp_path: Path) -> None:
    may_open = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await may_open.wait()
        await connection.send(OPENED + b"hello ")
        await echo(connection)

    async with before(script, tmp_path) as (gateway, upstream):
        client = await gateway.connect()
        await client.send(HANDSHAKE + b"GET / ")
        while not upstream.heads:
            await asyncio.sleep(0.005)
        await client.send(b"HTTP/1.1")
        may_open.set()
        await client.head()
        assert await client.exactly(20) == b"hello GET / HTTP/1.1"
        await client.close()


async def test_of_much_that_comes_before_the_101_little_is_held(tmp_path: Path) -> None:
    may_open = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await may_open.wait()
        await connection.send(OPENED)
        await echo(connection)

    async with before(script, tmp_path) as (gateway, _):
        client = await gateway.connect()
        data = bytes(range(256)) * (8 << 12)  # more than the kernel takes
        sending = asyncio.create_task(client.send(HANDSHAKE + data))
        while not gateway.server.server_state.connections:
            await asyncio.sleep(0.005)
        (connection,) = gateway.server.server_state.connections
        assert isinstance(connection, EdgeProtocol)
        while connection.flow is None or not connection.flow.read_paused:
            await asyncio.sleep(0.005)
        assert isinstance(connection.parser, Held)
        assert len(connection.parser.data) <= 1 << 19
        may_open.set()
        await client.head()
        assert await client.exactly(len(data)) == data
        await sending
        await client.close()
