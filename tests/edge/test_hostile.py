"""Clients and upstreams that mean harm: nobody else is hurt, nothing is held, nothing is lost."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.request import NO_BODY, RequestHead
from gateway.upstream.forwarded import ForwardedPolicy
from gateway.upstream.headers import HeadComposer
from tests.edge.conftest import Opened, is_freed
from tests.servers import Client, RunningGateway, Upstreamed, answering, gateway_running, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n"


@contextlib.asynccontextmanager
async def connected(gateway: RunningGateway) -> AsyncIterator[Client]:
    """A raw client that goes without a word at the end."""
    client = await gateway.connect()
    try:
        yield client
    finally:
        client.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await client.writer.wait_closed()


async def push(client: Client, piece: bytes, most: int) -> int:
    """Sends this piece again and again, until the gateway hangs up or `most` bytes are through."""
    sent = 0
    with contextlib.suppress(ConnectionError, TimeoutError):
        while sent < most and not client.writer.is_closing():
            await asyncio.wait_for(client.send(piece), 5)
            sent += len(piece)
    return sent


async def until_connected(gateway: RunningGateway) -> list[Any]:
    """The gateway's client connections, when there is one."""
    async with asyncio.timeout(5):
        while not gateway.server.server_state.connections:
            await asyncio.sleep(0.01)
    return list(gateway.server.server_state.connections)


class TestPipelines:
    @pytest.mark.parametrize("is_silent", [True, False], ids=["waiting", "streaming"])
    async def test_a_client_that_leaves_with_a_request_queued_frees_the_upstream(
        self, before: Opened, caplog: pytest.LogCaptureFixture, is_silent: bool
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
            async with connected(gateway) as client:
                await client.send(GET % b"first" + GET % b"second")
                await asyncio.wait_for(arrived.wait(), 5)
            assert await is_freed(gateway)
        assert "failed to handle" not in caplog.text

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

        async with before(script) as (gateway, _), connected(gateway) as client:
            await client.send(GET % b"first")
            await client.send(GET % b"x" * 7000)
            (protocol,) = await until_connected(gateway)
            await asyncio.sleep(0.2)
            assert len(protocol.pipeline) <= 1000


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
        async with before(answering(OK)) as (gateway, _), connected(gateway) as client:
            await client.send(start)
            assert await push(client, piece, 12 * 2**20) < 8 * 2**20

    async def test_many_small_trailers_are_refused(self, before: Opened) -> None:
        async with before(answering(OK)) as (gateway, _):
            trailers = b"X: 1\r\n" * 500
            head = b"Transfer-Encoding: chunked"
            answer = await gateway.exchange(POST % (b"", head) + b"0\r\n" + trailers + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 431 ")

    async def test_trailers_are_no_header_fields(self, before: Opened) -> None:
        async with before(answering(OK)) as (gateway, upstream):
            head = b"Transfer-Encoding: chunked\r\nConnection: close"
            await gateway.exchange(POST % (b"", head) + b"0\r\nX-Late: 1\r\nHost: b\r\n\r\n")
            assert upstream.heads
            assert b"x-late" not in upstream.heads[0]

    def test_long_field_names_are_not_remembered(self) -> None:
        composer = HeadComposer()
        for number in range(100):
            name = b"x-%d-" % number + b"a" * 20_000
            request = RequestHead("GET", b"/", b"/", b"", [(name, b"1")])
            composer.compose(request, host=b"h", body=NO_BODY, added=b"")
        assert sum(map(len, composer._kinds)) < 100_000


class TestUploads:
    async def test_a_refused_upload_does_not_cost_the_next_client_its_answer(
        self, before: Opened
    ) -> None:
        """Gunicorn keeps the connection in words, and closes it over 64 KiB of unread body."""

        async def script(connection: Upstreamed) -> None:
            head = await connection.head()
            if b"/upload" in head:
                await connection.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                await asyncio.sleep(0.05)
            else:
                await connection.send(OK)

        body = b"x" * 100_000
        async with before(script) as (gateway, _), connected(gateway) as client:
            await client.send(POST % (b"upload", b"Content-Length: 100000") + body)
            assert b" 401 " in await client.head()
            answer = await gateway.exchange(
                POST % (b"next", b"Content-Length: 2\r\nConnection: close") + b"hi"
            )
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")

    async def test_an_upstream_that_stalls_both_ways_after_a_word_is_cut_off(
        self, tmp_path: Path
    ) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(0.3)  # by now the upload stands still
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")
            await asyncio.sleep(30)

        async with scripted(script) as upstream:
            config = f"""
server: {{max_body_size: 100MiB}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{upstream.port}"], timeouts: {{read: 500ms}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""
            async with gateway_running(config, tmp_path) as gateway, connected(gateway) as client:
                head = POST % (b"", b"Content-Length: 90000000")
                sending = asyncio.create_task(client.send(head + b"x" * 40_000_000))
                try:
                    assert b"200 OK" in await client.head()
                    assert await is_freed(gateway)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                    for connection in upstream.connections:
                        connection.reset()

    async def test_a_refusal_ends_a_connection_whose_body_was_not_asked_for(
        self, before: Opened
    ) -> None:
        """Such a client need not send its body (RFC 9110 §10.1.1): the next bytes are anything."""
        async with before(answering(OK)) as (gateway, _):
            answer = await asyncio.wait_for(
                gateway.exchange(
                    POST % (b"", b"Expect: 100-continue\r\nContent-Length: 999999999")
                ),
                5,
            )
            assert answer.startswith(b"HTTP/1.1 413 ")


class TestAnswers:
    async def test_the_body_of_a_head_answer_never_answers_another_client(
        self, before: Opened
    ) -> None:
        """Older WSGI servers send it, in a second packet."""
        asked = asyncio.Event()

        async def script(connection: Upstreamed) -> None:
            while True:
                head = await connection.head()
                if head.startswith(b"HEAD"):
                    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n")
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(asked.wait(), 1)
                    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
                else:
                    await connection.send(OK)

        async with before(script) as (gateway, _):
            await gateway.exchange((LAST % b"").replace(b"GET", b"HEAD"))
            asked.set()
            for _ in range(3):
                assert (await gateway.exchange(LAST % b"")).endswith(b"\r\n\r\nok")

    async def test_hop_by_hop_fields_of_interim_answers_end_here(self, before: Opened) -> None:
        hints = (
            b"HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
            b"Transfer-Encoding: chunked\r\nLink: <a>\r\n\r\n"
        )
        async with before(answering(hints + OK)) as (gateway, _):
            answer = await gateway.exchange(LAST % b"")
            assert answer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200")

    @pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
    async def test_a_client_that_never_reads_the_end_is_let_go(
        self, before: Opened, monkeypatch: pytest.MonkeyPatch, connection: bytes
    ) -> None:
        monkeypatch.setattr("gateway.edge.patience.CLIENT_STALL", 0.3)
        size = 50_000  # less than what would pause the gateway's writing

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            await connection.send(b"x" * size)
            await asyncio.sleep(30)

        async with before(script) as (gateway, _):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(plain, ("127.0.0.1", gateway.port))
            (protocol,) = await until_connected(gateway)
            served = protocol.transport.get_extra_info("socket")
            served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            await loop.sock_sendall(
                plain, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n" % connection
            )
            async with asyncio.timeout(5):
                while protocol.flow.written < size or protocol._answering is not None:
                    await asyncio.sleep(0.01)
            assert protocol.transport.get_write_buffer_size() > 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    while gateway.server.server_state.connections:
                        await asyncio.sleep(0.01)
            is_gone = not gateway.server.server_state.connections
            plain.close()
            assert is_gone


class TestForwardingFields:
    @pytest.mark.parametrize(
        "name",
        [
            b"x-forwarded-by",
            b"x-forwarded-client-cert",
            b"x-forwarded-email",
            b"x_forwarded_groups",
        ],
    )
    def test_none_of_the_forwarded_family_passes_from_a_client(self, name: bytes) -> None:
        request = RequestHead("GET", b"/", b"/", b"", [(name, b"evil")])
        composed = HeadComposer().compose(request, host=b"h", body=NO_BODY, added=b"")
        assert b"evil" not in composed

    def test_a_long_chain_behind_a_proxy_is_not_read_to_its_end(self) -> None:
        policy = ForwardedPolicy(["10.0.0.0/8"])
        request = RequestHead(
            "GET", b"/", b"/", b"", [(b"x-forwarded-for", b"::1," * 7500)], peer="10.0.0.1"
        )
        assert policy.client_of(request, b"h").lines.count(b"::1") <= 100

    async def test_a_credential_in_another_spelling_does_not_pass_unjudged(
        self, tmp_path: Path
    ) -> None:
        """WSGI folds X_Access_Token and X-Access-Token into one variable."""
        async with scripted(answering(OK)) as upstream:
            config = f"""
issuers:
  app:
    algorithm: HS256
    signing_key: {"0123456789abcdef" * 4}
    auth_header_name: X-Access-Token
    upstream: app
upstreams: {{app: {{servers: ["http://127.0.0.1:{upstream.port}"]}}}}
routes: [{{path: /, auth: optional, issuers: [app], upstream: app}}]
"""
            async with gateway_running(config, tmp_path) as gateway:
                await gateway.exchange(
                    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                    b"X_Access_Token: Bearer revoked\r\n\r\n"
                )
        assert b"revoked" not in upstream.heads[0]
