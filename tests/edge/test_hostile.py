"""Clients and upstreams that mean harm: nobody else is hurt, nothing is held, nothing is lost."""

import asyncio
import contextlib
import gc

import pytest

from gateway.upstream.headers import HeadComposer
from tests.edge.conftest import Opened
from tests.factories import request as head_of
from tests.servers import Client, RunningGateway, Upstreamed, answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n"


async def is_freed(gateway: RunningGateway, seconds: float = 3) -> bool:
    """Whether the upstream's connections are all given up in this time."""
    pool = gateway.gateway.upstreams["app"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while pool.open_connections:
                await asyncio.sleep(0.01)
    return pool.open_connections == 0


async def push(client: Client, piece: bytes, most: int) -> int:
    """Sends this piece again and again, until the gateway hangs up or `most` bytes are through."""
    sent = 0
    with contextlib.suppress(ConnectionError, TimeoutError):
        while sent < most and not client.writer.is_closing():
            await asyncio.wait_for(client.send(piece), 5)
            sent += len(piece)
    return sent


class TestPipelines:
    @pytest.mark.parametrize("is_silent", [True, False], ids=["waiting", "streaming"])
    async def test_a_client_that_leaves_with_a_request_queued_frees_the_upstream(
        self, before: Opened, is_silent: bool
    ) -> None:
        arrived = asyncio.Event()

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            arrived.set()
            await connection.send(b"" if is_silent else b"HTTP/1.1 200 OK\r\n\r\n")
            while not is_silent:
                await connection.send(b"tick\n")
                await asyncio.sleep(0.01)
            await asyncio.sleep(30)

        async with before(script) as (gateway, _):
            client = await gateway.connect()
            await client.send(GET % b"first" + GET % b"second")
            await asyncio.wait_for(arrived.wait(), 5)
            await client.close()
            assert await is_freed(gateway)

    @pytest.mark.parametrize(
        "behind",
        [
            pytest.param(GET % b"second" + b"GARBAGE\r\n\r\n", id="behind a whole request"),
            pytest.param(
                POST % (b"second", b"Transfer-Encoding: chunked") + b"zz\r\n",
                id="in the next request's body",
            ),
        ],
    )
    async def test_bad_bytes_further_behind_do_not_spoil_the_answer_before_them(
        self, before: Opened, behind: bytes
    ) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await asyncio.sleep(0.1)
            await connection.send(OK)

        async with before(script) as (gateway, _):
            answer = await gateway.exchange(GET % b"first" + behind)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")

    async def test_requests_queued_by_one_client_are_bounded(self, before: Opened) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await asyncio.sleep(30)

        async with before(script) as (gateway, _):
            client = await gateway.connect()
            await client.send(GET % b"first")
            await push(client, GET % b"x" * 1000, 200_000)
            await asyncio.sleep(0.1)
            (protocol,) = gateway.server.server_state.connections
            assert len(protocol.pipeline) <= 1000
            await client.close()


class TestEndlessHeads:
    @pytest.mark.parametrize(
        ("start", "piece"),
        [
            pytest.param(b"GET /", b"a" * 65536, id="target"),
            pytest.param(b"GET / HTTP/1.1\r\nX: ", b"a" * 65536, id="one field"),
            pytest.param(b"GET / HTTP/1.1\r\n", (b"X: " + b"a" * 1000 + b"\r\n") * 64, id="fields"),
            pytest.param(
                POST % (b"", b"Transfer-Encoding: chunked") + b"0\r\n",
                (b"X: " + b"a" * 1000 + b"\r\n") * 64,
                id="trailers",
            ),
        ],
    )
    async def test_a_head_that_never_ends_is_cut_off(
        self, before: Opened, start: bytes, piece: bytes
    ) -> None:
        async with before(answering(OK)) as (gateway, _):
            client = await gateway.connect()
            await client.send(start)
            assert await push(client, piece, 32 * 2**20) < 8 * 2**20
            client.writer.transport.abort()

    async def test_trailers_are_no_header_fields(self, before: Opened) -> None:
        async with before(answering(OK)) as (gateway, upstream):
            head = b"Transfer-Encoding: chunked\r\nConnection: close"
            await gateway.exchange(POST % (b"", head) + b"0\r\nX-Late: 1\r\nHost: b\r\n\r\n")
            assert len(upstream.heads) == 1
            assert b"x-late" not in upstream.heads[0]

    def test_long_field_names_are_not_remembered(self) -> None:
        composer = HeadComposer()
        for number in range(100):
            name = b"x-%d-" % number + b"a" * 20_000
            composer.compose(
                head_of(headers=[(name, b"1")]),
                host=b"a",
                body=head_of().body if hasattr(head_of(), "body") else NO_BODY,
                added=b"",
            )
        known = [name for name in gc.get_referents(composer) if isinstance(name, dict)]
        assert sum(len(name) for kinds in known for name in kinds) < 100_000
