"""The life of a client connection."""

import asyncio
import socket
from pathlib import Path

import pytest

from gateway.edge import patience
from gateway.proxy import Proxy
from tests.edge.conftest import Opened
from tests.servers import Upstreamed, answering, gateway_running, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_connection_is_kept_for_the_next_request(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        client = await gateway.connect()
        for _ in range(3):
            await client.send(GET)
            assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
            assert await client.exactly(2) == b"ok"
        await client.close()
        assert len(upstream.connections) == 1


async def test_an_idle_connection_is_closed_in_time(tmp_path: Path) -> None:
    async with scripted(answering(OK)) as upstream:
        config = f"""
upstreams: {{app: {{servers: ["http://127.0.0.1:{upstream.port}"]}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""
        async with gateway_running(config, tmp_path, keep_alive=0.1) as gateway:
            client = await gateway.connect()
            await client.send(GET)
            await client.head()
            assert await client.rest() == b"ok"  # and then the end
            await client.close()


@pytest.mark.replaces_code
async def test_a_defect_is_a_500_that_tells_nothing(
    before: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Proxy, "decide", broken)
    async with before(answering(OK)) as (gateway, _):
        answer = await gateway.exchange(GET)
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert b'"code":"internal_error"' in answer
        assert b"secret detail" not in answer


async def test_a_client_that_stops_reading_is_let_go(
    before: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.send(b"x" * 65536)

    monkeypatch.setattr(patience, "CLIENT_STALL", 0.2)
    async with before(script) as (gateway, _):
        client = await gateway.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(GET)
        pool = gateway.gateway.upstreams["app"]
        async with asyncio.timeout(5):
            while not pool.open_connections:
                await asyncio.sleep(0.01)
            while pool.open_connections:
                await asyncio.sleep(0.01)
        client.writer.transport.abort()


async def test_a_dripped_head_is_answered_408(before: Opened) -> None:
    async with before(answering(OK), head="200ms") as (gateway, upstream):
        client = await gateway.connect()
        began = asyncio.get_running_loop().time()
        for piece in (b"GET / HT", b"TP/1.1\r\n", b"Host: a\r\n", b"X: "):
            await client.send(piece)
            await asyncio.sleep(0.04)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code":"header_timeout"' in answer
        assert asyncio.get_running_loop().time() - began < 0.4
        assert not upstream.connections
        await client.close()


async def test_a_connection_without_a_byte_is_closed_without_one(before: Opened) -> None:
    async with before(answering(OK), head="100ms") as (gateway, _):
        client = await gateway.connect()
        assert await client.rest() == b""
        await client.close()


async def test_the_second_head_has_its_own_time(before: Opened) -> None:
    async with before(answering(OK), head="200ms") as (gateway, _):
        client = await gateway.connect()
        await client.send(GET)
        await client.head()
        assert await client.exactly(2) == b"ok"
        await asyncio.sleep(0.3)  # idle is no part of it
        await client.send(GET[:9])
        await asyncio.sleep(0.1)
        await client.send(GET[9:])
        await client.head()
        assert await client.exactly(2) == b"ok"
        await client.send(GET[:9])
        assert b'"code":"header_timeout"' in await client.rest()
        await client.close()


async def test_a_body_is_not_the_heads_business(before: Opened) -> None:
    async with before(answering(OK), head="100ms") as (gateway, _):
        client = await gateway.connect()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        await asyncio.sleep(0.2)
        await client.send(b"bc")
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
        await client.close()


async def test_a_crowd_of_clients_is_taken_in_few_turns_of_the_loop(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, _):
        crowd = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(64)]
        turns = 0
        while len(gateway.server.server_state.connections) < len(crowd):
            assert turns < len(crowd) / 4, "one a turn: a loaded gateway lets the last ones wait"
            await asyncio.sleep(0)
            turns += 1
        for client in crowd:
            client.close()
