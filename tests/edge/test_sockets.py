"""WebSockets: opened like any request is decided, then spliced, whatever either side does."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha1
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.edge.conftest import is_freed
from tests.servers import (
    Client,
    RunningGateway,
    Script,
    ScriptedUpstream,
    Upstreamed,
    answering,
    gateway_running,
    scripted,
)

CONFIG = """
server: {{graceful_shutdown: 3s}}
logging: {{access_log: false}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{port}"], timeouts: {{read: {read}}}, max_connections: 4}}
routes:
  - {{path: /plain, auth: none, upstream: app}}
  - {{path: /, auth: none, upstream: app, websocket: true}}
"""
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY
)
ACCEPT = b64encode(sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
OPENED = SWITCHING % ACCEPT


@pytest.fixture(autouse=True)
def lane() -> None:
    """One lane alone: handshakes never go by the fast one."""


@contextlib.asynccontextmanager
async def before(
    script: Script, directory: Path, read: str = "5s"
) -> AsyncIterator[tuple[RunningGateway, ScriptedUpstream]]:
    async with scripted(script) as upstream:
        config = CONFIG.format(port=upstream.port, read=read)
        async with gateway_running(config, directory) as gateway:
            yield gateway, upstream


async def opened(gateway: RunningGateway) -> Client:
    client = await gateway.connect()
    await client.send(HANDSHAKE)
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    return client


async def is_over(gateway: RunningGateway, seconds: float = 3) -> bool:
    """Whether no socket is left after a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while len(gateway.gateway.sockets):
                await asyncio.sleep(0.01)
    return not len(gateway.gateway.sockets)


def opening(then: Script) -> Script:
    """A script that opens a socket."""

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(OPENED)
        await then(connection)

    return script


async def echo(connection: Upstreamed) -> None:
    while data := await connection.reader.read(65536):
        await connection.send(data)


@contextlib.asynccontextmanager
async def talking(directory: Path) -> AsyncIterator[tuple[RunningGateway, str]]:
    """A gateway before a real server, which says back what it hears."""

    async def answer(socket: ServerConnection) -> None:
        async for message in socket:
            if message == "bye":
                await socket.close(4001, "enough")
            else:
                await socket.send(message)

    async with serve(answer, "127.0.0.1", 0, max_size=None, subprotocols=None) as server:
        port = server.sockets[0].getsockname()[1]
        config = CONFIG.format(port=port, read="300ms")
        async with gateway_running(config, directory) as gateway:
            yield gateway, f"ws://127.0.0.1:{gateway.port}/ws"


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


async def test_messages_pings_and_close_codes_pass(tmp_path: Path) -> None:
    async with talking(tmp_path) as (gateway, address), connect(address) as socket:
        for message in ("text", b"\x00\xff", "x" * 70_000):
            await socket.send(message)
            assert await socket.recv() == message
        await (await socket.ping())
        assert len(gateway.gateway.sockets) == 1
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4001, "enough")
        assert await is_over(gateway)


async def test_an_idle_socket_outlives_the_upstreams_read_timeout(tmp_path: Path) -> None:
    async with talking(tmp_path) as (gateway, address), connect(address) as socket:
        pool = gateway.gateway.upstreams["app"]
        pool.sweep(asyncio.get_running_loop().time() + 1000)
        await socket.send("still here")
        assert await socket.recv() == "still here"


async def test_open_sockets_take_no_place_among_the_upstreams_connections(tmp_path: Path) -> None:
    async with before(opening(echo), tmp_path) as (gateway, _):
        clients = [await opened(gateway) for _ in range(20)]
        assert gateway.gateway.upstreams["app"].open_connections == 0
        assert len(gateway.gateway.sockets) == 20
        for client in clients:
            await client.close()
        assert await is_over(gateway)


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


async def test_a_client_that_sends_without_end_before_the_101_is_let_go(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.reader.read()

    async with before(script, tmp_path) as (gateway, _):
        client = await gateway.connect()
        await client.send(HANDSHAKE)
        with contextlib.suppress(ConnectionError):
            await client.send(b"x" * (1 << 20))
        assert b"101" not in await client.rest()
        await client.close()


@pytest.mark.parametrize("is_upstream_first", [True, False])
async def test_half_a_connection_is_ended_on_the_other_side(
    tmp_path: Path, is_upstream_first: bool
) -> None:
    async def script(connection: Upstreamed) -> None:
        if is_upstream_first:
            connection.writer.write_eof()
        heard = await connection.reader.read()
        if not is_upstream_first:
            await connection.send(b"heard " + heard)
        assert heard == b"words"

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        if is_upstream_first:
            assert await client.rest() == b""
        await client.send(b"words")
        client.writer.write_eof()
        assert await client.rest() == (b"" if is_upstream_first else b"heard words")
        await client.close()
        assert await is_over(gateway)


@pytest.mark.parametrize("is_reset", [True, False])
async def test_an_upstream_that_dies_takes_the_client_along(tmp_path: Path, is_reset: bool) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.reader.readexactly(3)
        await connection.send(b"\x81\x05hal")
        if is_reset:
            connection.reset()

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        await client.send(b"now")
        assert await client.rest() in (b"\x81\x05hal", b"")
        await client.close()
        assert await is_over(gateway)


async def test_a_client_that_dies_takes_the_upstream_along(tmp_path: Path) -> None:
    over: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(connection: Upstreamed) -> None:
        with contextlib.suppress(ConnectionError):
            await connection.reader.read()
        over.set_result(b"")

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        client.writer.transport.abort()
        await asyncio.wait_for(over, 5)
        assert await is_over(gateway)


@pytest.mark.parametrize("is_client_slow", [True, False])
async def test_each_side_is_read_no_faster_than_the_other_takes(
    tmp_path: Path, is_client_slow: bool
) -> None:
    """What one side sends without end stops coming while the other reads nothing."""
    piece, quiet = b"x" * 65536, asyncio.Event()

    async def pour(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(piece)
            await writer.drain()

    async def script(connection: Upstreamed) -> None:
        if is_client_slow:
            await pour(connection.writer)
        await quiet.wait()

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        pouring = None if is_client_slow else asyncio.create_task(pour(client.writer))
        (socket,) = gateway.gateway.sockets._open
        end = socket.splice.client if is_client_slow else socket.splice.upstream
        while not end.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        before_that, same = -1, 0
        while same < 20:  # the kernel's buffers fill up too
            await asyncio.sleep(0.01)
            same = same + 1 if end._written == before_that else 0
            before_that = end._written
        assert end.transport.get_write_buffer_size() <= 1 << 20
        if pouring is not None:
            pouring.cancel()
        quiet.set()
        client.writer.transport.abort()
        assert await is_over(gateway)


async def test_a_side_that_takes_nothing_is_let_go(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        while True:
            await connection.send(b"x" * 65536)

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        (socket,) = gateway.gateway.sockets._open
        end = socket.splice.client
        written = -1
        while end._written != written or not end.transport.get_write_buffer_size():
            written = end._written
            await asyncio.sleep(0.1)
        now = asyncio.get_running_loop().time()
        end.sweep(now, 0)
        end.sweep(now + 29, 0)
        assert len(gateway.gateway.sockets) == 1
        end.sweep(now + 31, 0)
        assert await is_over(gateway)
        client.writer.transport.abort()


async def test_an_idle_side_is_let_be(tmp_path: Path) -> None:
    async with before(opening(echo), tmp_path) as (gateway, _):
        client = await opened(gateway)
        (socket,) = gateway.gateway.sockets._open
        now = asyncio.get_running_loop().time()
        for later in (0, 1000, 2000):
            socket.splice.client.sweep(now + later, 0)
        await client.send(b"here")
        assert await client.exactly(4) == b"here"
        await client.close()


async def test_a_stop_closes_sockets_as_going_away(tmp_path: Path) -> None:
    codes: list[int | None] = []

    async def answer(socket: ServerConnection) -> None:
        await socket.wait_closed()
        codes.append(socket.close_code)

    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with gateway_running(CONFIG.format(port=port, read="5s"), tmp_path) as gateway:
            sockets = [await connect(f"ws://127.0.0.1:{gateway.port}/ws") for _ in range(5)]
        for socket in sockets:
            await socket.wait_closed()
        assert [socket.close_code for socket in sockets] == [1001] * 5
    assert codes == [1001] * 5


async def test_a_stop_in_the_middle_of_a_frame_hangs_up(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.send(b"\x82\x7e\x01\x00abc")
        await connection.reader.read()

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        assert await client.exactly(7) == b"\x82\x7e\x01\x00abc"
        gateway.server.should_exit = True
        assert await client.rest() == b""
        await client.close()


async def test_a_socket_that_opens_while_the_worker_stops_is_closed_at_once(tmp_path: Path) -> None:
    async with before(opening(echo), tmp_path) as (gateway, _):
        gateway.gateway.drain()
        client = await opened(gateway)
        assert await client.rest() == b"\x88\x02\x03\xe9"
        await client.close()
        assert await is_over(gateway)
