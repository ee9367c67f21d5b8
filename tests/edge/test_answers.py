"""The answer reaches the client as a direct connection would give it."""

import asyncio

import pytest

from tests.edge.conftest import Opened
from tests.servers import Upstreamed, answering

GET = b"GET /a HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def fields_of(answer: bytes) -> list[tuple[bytes, bytes]]:
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(n, v.strip()) for n, _, v in (line.partition(b":") for line in lines)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nconnection: close\r\n\r\nhello",
            id="length",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n",
            id="trailers end here",
        ),
        pytest.param(
            b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nX-A: b\r\nconnection: close\r\n\r\n",
            id="204",
        ),
        pytest.param(
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n"
            b"connection: close\r\n\r\n",
            id="304 keeps the length of what it does not send",
        ),
        pytest.param(
            b"HTTP/1.1 418 Short and stout\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 418 Short and stout\r\nContent-Length: 0\r\nconnection: close\r\n\r\n",
            id="its own reason phrase",
        ),
        pytest.param(
            b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 599 \r\nContent-Length: 0\r\nconnection: close\r\n\r\n",
            id="an unheard-of status",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Name: caf\xe9\r\n"
            b"Content-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Name: caf\xe9\r\n"
            b"Content-Length: 0\r\nconnection: close\r\n\r\n",
            id="several cookies and Latin-1",
        ),
        pytest.param(
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n"
            b"\r\nhe",
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n"
            b"connection: close\r\n\r\nhe",
            id="range",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
            b"Upgrade: h2c\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nconnection: close\r\n\r\n",
            id="hop-by-hop fields end here",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: Content-Length, Set-Cookie\r\nSet-Cookie: a=1\r\n"
            b"Content-Length: 2\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\n"
            b"connection: close\r\n\r\nhi",
            id="framing and cookies can't be named away",
        ),
    ],
)
async def test_an_answer_passes_exactly(before: Opened, answer: bytes, expected: bytes) -> None:
    async with before(answering(answer)) as (gateway, _):
        assert await gateway.exchange(GET) == expected


async def test_a_head_answer_keeps_its_length_and_not_its_connection(before: Opened) -> None:
    script = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    head = GET.replace(b"GET", b"HEAD")
    async with before(script) as (gateway, upstream):
        for _ in range(3):
            answer = await gateway.exchange(head)
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nconnection: close\r\n\r\n"
            )
        assert len(upstream.connections) == 3


async def test_an_answer_that_ends_with_its_connection_is_complete(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhel")
        await connection.send(b"lo")

    async with before(script) as (gateway, _):
        answer = await gateway.exchange(GET)
        assert b"transfer-encoding: chunked" in answer
        assert answer.endswith(b"0\r\n\r\n")
        assert body_of(answer).count(b"hel") == 1


async def test_an_old_client_gets_no_chunks(before: Opened) -> None:
    script = answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    async with before(script) as (gateway, upstream):
        answer = await gateway.exchange(b"GET / HTTP/1.0\r\n\r\n")
        assert answer == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
        assert b"host: 127.0.0.1:%d\r\n" % upstream.port in upstream.heads[0]


async def test_interim_answers_pass_but_a_continue_does_not(before: Opened) -> None:
    script = answering(
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    async with before(script) as (gateway, _):
        assert await gateway.exchange(GET) == (
            b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nok"
        )


async def test_pieces_flow_as_they_come(before: Opened) -> None:
    seen = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await connection.send(b"data: 1\n\n")
        await asyncio.wait_for(seen.wait(), 10)
        await connection.send(b"data: 2\n\n")

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(GET)
        assert b"text/event-stream" in await client.head()
        assert await client.exactly(14) == b"9\r\ndata: 1\n\n\r\n"
        seen.set()
        assert await client.rest() == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        await client.close()


async def test_a_head_goes_out_before_its_body_is_there(before: Opened) -> None:
    seen = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await asyncio.wait_for(seen.wait(), 10)
        await connection.send(b"ok")

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(GET)
        assert b"200 OK" in await client.head()
        seen.set()
        assert await client.rest() == b"ok"
        await client.close()


async def test_requests_on_one_connection_are_answered_in_their_order(before: Opened) -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n for n in range(3)]
    async with before(answering(*answers)) as (gateway, upstream):
        request = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
        answer = await gateway.exchange(request % 0 + request % 1 + GET)
        assert [body[:1] for body in answer.split(b"\r\n\r\n")[1:]] == [b"0", b"1", b"2"]
        assert [head.split()[1] for head in upstream.heads] == [b"/0", b"/1", b"/a"]


async def test_a_large_answer_passes_bit_for_bit_to_a_slow_reader(before: Opened) -> None:
    piece = bytes(range(256)) * 256
    count = 256  # 16 MiB

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * 65536))
        for _ in range(count):
            await connection.send(piece)

    async with before(script) as (gateway, _):
        client = await gateway.connect()
        await client.send(GET)
        await client.head()
        await asyncio.sleep(0)
        for _ in range(count):
            assert await client.exactly(65536) == piece
        assert await client.rest() == b""
        await client.close()
