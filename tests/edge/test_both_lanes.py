"""What both lanes must do alike where one connection mixes them, or its client is hostile."""

import asyncio
import contextlib
import gc
import logging
import socket

import pytest

from gateway.edge.fast import FastExchange
from tests.edge.conftest import Opened, is_freed
from tests.servers import Upstreamed, answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


async def test_a_client_that_asks_and_never_reads_is_not_answered_for_ever(
    before: Opened,
) -> None:
    size = 30_000
    big = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with before(answering(big)) as (gateway, _):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, ("127.0.0.1", gateway.port))
        largest = 0
        for _ in range(400):
            with contextlib.suppress(BlockingIOError):
                plain.send(GET % b"")
            await asyncio.sleep(0.001)
            for connection in gateway.server.server_state.connections:
                waiting = connection.transport.get_write_buffer_size()
                largest = max(largest, waiting)
        plain.close()
        assert largest < 200_000


async def test_a_body_in_pieces_behind_another_request_arrives(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        while True:
            head = await connection.head()
            if head.startswith(b"POST"):
                assert await connection.reader.readexactly(4) == b"body"
            else:
                await asyncio.sleep(0.05)
            await connection.send(OK)

    async with before(script) as (gateway, upstream):
        client = await gateway.connect()
        for _ in range(3):
            await client.send(GET % b"first" + POST % b"second" + b"bo")
            await client.head()
            assert await client.exactly(2) == b"ok"
            await asyncio.sleep(0.02)
            await client.send(b"dy")
            await client.head()
            assert await client.exactly(2) == b"ok"
        assert sum(head.startswith(b"POST") for head in upstream.heads) == 3
        await client.close()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET /%2e%2e/ HTTP/1.1\r\nHost: a\r\n\r\n", id="dots"),
    ],
)
async def test_nothing_runs_behind_a_refusal_that_ends_the_connection(
    before: Opened, bad: bytes
) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        warm = await gateway.connect()
        await warm.send(GET % b"warm")  # an idle connection waits for whoever comes
        await warm.head()
        await warm.exactly(2)
        client = await gateway.connect()
        await client.send(bad + POST % b"evil" + b"body" + bad)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        await asyncio.sleep(0.05)
        assert not any(b"evil" in head for head in upstream.heads)
        await client.close()
        await warm.close()


async def test_garbage_behind_a_request_does_not_hide_the_clients_leaving(before: Opened) -> None:
    arrived = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        arrived.set()
        await asyncio.sleep(30)

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(GET % b"slow" + b"GARBAGE\r\n\r\n")
        await asyncio.wait_for(arrived.wait(), 5)
        await client.close()
        assert await is_freed(gateway)


async def test_a_204_has_no_length(before: Opened) -> None:
    answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX: 1\r\n\r\n"
    async with before(answering(answer)) as (gateway, _):
        client = await gateway.connect()
        for _ in range(2):
            await client.send(GET % b"")
            head = await client.head()
            assert b"ontent-" not in head
            assert b"X: 1" in head
        await client.close()


@pytest.mark.replaces_code
@pytest.mark.parametrize("where", ["head", "end"])
async def test_a_defect_is_told_and_ends_the_connection(
    before: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lane: str,
    where: str,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    async with before(answering(OK)) as (gateway, _):
        client = await gateway.connect()
        if lane == "asgi":
            module = "gateway.edge.transfer"
            monkeypatch.setattr(f"{module}.response_headers", broken)
        elif where == "head":
            monkeypatch.setattr(FastExchange, "on_head", broken)
        else:
            monkeypatch.setattr(FastExchange, "_log", broken)
        with caplog.at_level(logging.ERROR):
            await client.send(GET % b"")
            answer = await client.rest()
        assert b"secret detail" not in answer
        if lane == "asgi" or where == "head":
            assert answer.startswith(b"HTTP/1.1 500 ")
        assert "secret detail" in caplog.text
        await client.close()


async def test_clients_that_leave_leave_nothing_behind(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await asyncio.sleep(30)

    async with before(script, connections=64) as (gateway, upstream):
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                client = await gateway.connect()
                await client.send(GET % b"")
                while not upstream.connections:
                    await asyncio.sleep(0.005)
                await client.close()
                upstream.connections.clear()
            async with asyncio.timeout(5):
                while gateway.server.server_state.connections:
                    await asyncio.sleep(0.01)
            assert sum(type(each) is FastExchange for each in gc.get_objects()) <= 1
        finally:
            gc.enable()


async def test_many_refusals_at_once_are_all_answered_in_their_order(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, _):
        client = await gateway.connect()
        await client.send(b"".join(b"TRACE /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(3)))
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 405 ")
        await client.close()
