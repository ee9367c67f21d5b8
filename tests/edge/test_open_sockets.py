"""Open WebSockets: bytes pass as they came, whatever either side does, and each ends in the end."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.edge.splice import End
from tests.edge.sockets import (
    CONFIG,
    HANDSHAKE,
    OPENED,
    before,
    echo,
    is_over,
    opened,
    opening,
    talking,
)
from tests.servers import Client, Upstreamed, gateway_running


@pytest.fixture(autouse=True)
def lane() -> None:
    """One lane alone: handshakes never go by the fast one."""


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


async def test_the_kernel_asks_a_silent_peer_for_a_sign_of_life(tmp_path: Path) -> None:
    async with before(opening(echo), tmp_path) as (gateway, _):
        client = await opened(gateway)
        (one,) = gateway.gateway.sockets._open
        for end in (one.splice.client, one.splice.upstream):
            connection = end.transport.get_extra_info("socket")
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
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
        (one,) = gateway.gateway.sockets._open
        end = one.splice.client if is_client_slow else one.splice.upstream
        while not end.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        assert await settled(end) <= 1 << 20
        if pouring is not None:
            pouring.cancel()
        quiet.set()
        client.writer.transport.abort()
        assert await is_over(gateway)


async def test_what_comes_along_with_the_101_counts_against_a_slow_client(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        connection.writer.write(OPENED + b"x" * 400_000)
        while True:
            await connection.send(b"x" * 65536)

    async with before(script, tmp_path) as (gateway, _):
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", gateway.port))
        client = Client(*await asyncio.open_connection(sock=narrow))
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        while not gateway.server.server_state.connections:
            await asyncio.sleep(0.01)
        (accepted,) = gateway.server.server_state.connections
        kernel = accepted.transport.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await client.send(HANDSHAKE)
        while not len(gateway.gateway.sockets):
            await asyncio.sleep(0.01)
        (one,) = gateway.gateway.sockets._open
        assert await settled(one.splice.client) <= 1 << 20
        client.writer.transport.abort()
        assert await is_over(gateway)


async def settled(end: End) -> int:
    """The bytes that wait for this end, once no more are written to it."""
    before_that, same = -1, 0
    while same < 20:  # the kernel's buffers fill up too
        await asyncio.sleep(0.01)
        same = same + 1 if end.written == before_that else 0
        before_that = end.written
        assert end.transport.get_write_buffer_size() <= 8 << 20
    return end.transport.get_write_buffer_size()


async def test_a_side_that_takes_nothing_is_let_go(tmp_path: Path) -> None:
    async def script(connection: Upstreamed) -> None:
        while True:
            await connection.send(b"x" * 65536)

    async with before(opening(script), tmp_path) as (gateway, _):
        client = await opened(gateway)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        (one,) = gateway.gateway.sockets._open
        end = one.splice.client
        written = -1
        while end.written != written or not end.transport.get_write_buffer_size():
            written = end.written
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
        (one,) = gateway.gateway.sockets._open
        now = asyncio.get_running_loop().time()
        for later in (0, 1000, 2000):
            one.splice.client.sweep(now + later, 0)
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
        gateway.gateway.sockets.drain()
        client = await opened(gateway)
        assert await client.rest() == b"\x88\x02\x03\xe9"
        await client.close()
        assert await is_over(gateway)
