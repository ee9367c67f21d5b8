"""Upstreams that fail: what the client sees, and that nothing stays behind."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.edge.conftest import Opened, is_freed
from tests.servers import Upstreamed, answering, gateway_running

GET = b"GET /a HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json\r\n" in head
    assert b"\r\nx-request-id: " in head
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closes at once"),
        pytest.param(b"HTTP/1.1 200", id="dies in its head"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="speaks no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="odd length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            id="two lengths",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length and chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            id="a transfer coding nobody asked for",
        ),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="switches protocols"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", id="giant field"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", id="giant head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n", id="a name that is none"),
    ],
)
async def test_a_broken_upstream_is_a_502(before: Opened, answer: bytes) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(answer)

    async with before(script) as (gateway, _):
        assert problem(await gateway.exchange(GET)) == (502, "upstream_broken")


async def test_a_refused_connection_is_a_502(tmp_path: Path) -> None:
    config = """
upstreams: {gone: {servers: ["unix:/nonexistent/socket"]}}
routes: [{path: /, auth: none, upstream: gone}]
"""
    async with gateway_running(config, tmp_path) as gateway:
        assert problem(await gateway.exchange(GET)) == (502, "upstream_refused")


async def test_a_silent_upstream_is_a_504_and_its_connection_is_given_up(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await asyncio.sleep(30)

    async with before(script, read="200ms") as (gateway, _):
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert problem(await gateway.exchange(GET)) == (504, "upstream_timeout")
        assert loop.time() - started >= 0.2
        assert gateway.gateway.upstreams["app"].open_connections == 0


async def test_an_answer_that_stalls_is_cut_off(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")
        await asyncio.sleep(30)

    async with before(script, read="200ms") as (gateway, _):
        answer = await gateway.exchange(GET)
        assert answer.endswith(b"\r\n\r\nhal")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", id="length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", id="chunked"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
            id="a broken chunk",
        ),
    ],
)
async def test_a_death_in_the_body_never_looks_like_an_end(before: Opened, answer: bytes) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(answer)

    async with before(script) as (gateway, _):
        received = await gateway.exchange(GET)
        assert b"half" in received
        assert not received.endswith(b"0\r\n\r\n")
        assert len(received.partition(b"\r\n\r\n")[2]) < 10 or b"chunked" in received


async def test_an_old_client_sees_a_death_as_a_reset(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(client.reader.read(), 10)
        await client.close()


async def test_a_stale_connection_is_tried_again_once(before: Opened) -> None:
    """A kept connection that the upstream closes as the next request comes."""

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(OK)
        await connection.head()  # the second request on it is never answered

    async with before(script) as (gateway, upstream):
        for _ in range(3):
            assert (await gateway.exchange(GET)).endswith(b"ok")
        assert len(upstream.connections) == 3


@pytest.mark.parametrize(
    ("method", "expected"), [("POST", 502), ("PATCH", 502), ("PUT", 200), ("DELETE", 200)]
)
async def test_only_idempotent_requests_are_sent_twice(
    before: Opened, method: str, expected: int
) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(OK)
        await connection.head()

    request = b"%b /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    async with before(script) as (gateway, upstream):
        await gateway.exchange(GET)
        answer = await gateway.exchange(request % method.encode())
        assert int(answer.split()[1]) == expected
        sent = [head for head in upstream.heads if head.startswith(method.encode())]
        assert len(sent) == (2 if expected == 200 else 1)


async def test_bytes_that_nobody_asked_for_end_the_connection(before: Opened) -> None:
    """A second answer behind the first must never answer another client's request."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    async with before(answering(OK + poison)) as (gateway, upstream):
        for _ in range(3):
            assert (await gateway.exchange(GET)).endswith(b"\r\n\r\nok")
        assert len(upstream.connections) == 3


async def test_idle_connections_are_given_up_in_time(before: Opened) -> None:
    async with before(answering(OK), idle="100ms") as (gateway, _):
        pool = gateway.gateway.upstreams["app"]
        await gateway.exchange(GET)
        assert pool.idle_connections == 1
        while pool.idle_connections:
            await asyncio.sleep(0.01)
        assert pool.open_connections == 0


async def test_more_requests_than_connections_wait_their_turn(before: Opened) -> None:
    async with before(answering(OK), connections=1) as (gateway, upstream):
        answers = await asyncio.gather(*(gateway.exchange(GET) for _ in range(20)))
        assert all(answer.endswith(b"ok") for answer in answers)
        assert len(upstream.connections) == 1


async def test_a_saturated_upstream_is_a_503_with_retry_after(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await asyncio.sleep(30)

    async with before(script, connections=1, read="2s") as (gateway, _):
        first = asyncio.create_task(gateway.exchange(GET))
        await asyncio.sleep(0.05)
        answer = await gateway.exchange(GET)
        assert problem(answer) == (503, "upstream_saturated")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert problem(await first) == (504, "upstream_timeout")


async def test_a_client_that_leaves_frees_the_upstream(before: Opened) -> None:
    arrived = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        arrived.set()
        await asyncio.sleep(30)

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(GET)
        await asyncio.wait_for(arrived.wait(), 10)
        await client.close()
        assert await is_freed(gateway, 5)


async def test_a_client_that_leaves_a_stream_frees_the_upstream(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.send(b"tick\n")
            await asyncio.sleep(0.01)

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(GET)
        await client.head()
        await client.close()
        assert await is_freed(gateway, 5)
