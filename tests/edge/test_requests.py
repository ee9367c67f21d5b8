"""The request reaches the upstream byte for byte, or not at all."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.edge.conftest import Opened
from tests.servers import Upstreamed, answering, gateway_running, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes, body: bytes = b"") -> bytes:
    lines = [line, b"Host: example.org", b"Connection: close", *fields, b"", b""]
    return b"\r\n".join(lines) + body


def code_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nx-request-id: " in head.lower()
    return int(head.split()[1]), json.loads(body)["code"]


async def test_the_upstream_gets_this_head(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        await gateway.exchange(
            request(b"GET /a%20b?x=%2F&&y HTTP/1.1", b"Accept: */*", b"X-Twice: 1", b"X-Twice: 2")
        )
        head = re.sub(
            rb"x-request-id: [0-9a-f]{20}\r\n", b"x-request-id: ID\r\n", upstream.heads[0]
        )
        assert head == (
            b"GET /a%20b?x=%2F&&y HTTP/1.1\r\n"
            b"host: example.org\r\n"
            b"Accept: */*\r\nX-Twice: 1\r\nX-Twice: 2\r\n"
            b"x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n"
            b"x-forwarded-host: example.org\r\n"
            b'forwarded: for=127.0.0.1;host="example.org";proto=http\r\n'
            b"x-request-id: ID\r\n\r\n"
        )


@pytest.mark.parametrize(
    "target",
    [
        b"/", b"/?", b"/a?", b"/a?b=c?d", b"/a%2Fb", b"/a%25b", b"/a;b=c", b"/a//b", b"/caf%C3%A9",
        b"/a'b(c)*!$&,=:@~", b"/%61", b"/a|b", b"/a?..//..", b"/.a", b"/a..b",
        b"/%ff",
    ],
)  # fmt: skip
async def test_a_target_arrives_as_it_was_sent(before: Opened, target: bytes) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        answer = await gateway.exchange(request(b"GET %b HTTP/1.1" % target))
        assert answer.endswith(b"ok")
        assert upstream.heads[0].startswith(b"GET %b HTTP/1.1\r\n" % target)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"GET /../a HTTP/1.1", 400, id="dot segments"),
        pytest.param(b"GET /a/.. HTTP/1.1", 400, id="dot segment at the end"),
        pytest.param(b"GET /a/./b HTTP/1.1", 400, id="single dot"),
        pytest.param(b"GET /a/%2e%2e/b HTTP/1.1", 400, id="encoded dots"),
        pytest.param(b"GET /a%2f..%2fb HTTP/1.1", 400, id="dots between encoded slashes"),
        pytest.param(b"GET /a/..;/b HTTP/1.1", 400, id="dots with a parameter"),
        pytest.param(b"GET /a\\b HTTP/1.1", 400, id="backslash"),
        pytest.param(b"GET /a/%5c../b HTTP/1.1", 400, id="encoded backslash and dots"),
        pytest.param(b"GET /a%00 HTTP/1.1", 400, id="NUL"),
        pytest.param(b"GET /a%0a HTTP/1.1", 400, id="line feed"),
        pytest.param(b"GET /a%zz HTTP/1.1", 400, id="broken escape"),
        pytest.param(b"GET /a% HTTP/1.1", 400, id="cut escape"),
        pytest.param(b"GET /a#b HTTP/1.1", 400, id="fragment"),
        pytest.param(b"GET /caf\xc3\xa9 HTTP/1.1", 400, id="not ASCII"),
        pytest.param(b"GET /a?\xc3\xa9 HTTP/1.1", 400, id="a query that is not ASCII"),
        pytest.param(b"GET http://example.org/a HTTP/1.1", 400, id="absolute form"),
        pytest.param(b"OPTIONS * HTTP/1.1", 400, id="asterisk form"),
        pytest.param(b"CONNECT example.org:443 HTTP/1.1", 400, id="CONNECT"),
        pytest.param(b"TRACE / HTTP/1.1", 405, id="TRACE"),
        pytest.param(b"GET /%b HTTP/1.1" % (b"a" * 8192), 414, id="long target"),
        pytest.param(b"GET /", 400, id="HTTP/0.9"),
        pytest.param(b"GET / HTTP/1.1 x", 400, id="odd version"),
        pytest.param(b"\x16\x03\x01\x02", 400, id="TLS"),
    ],
)
async def test_a_doubtful_target_is_refused(before: Opened, line: bytes, expected: int) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        status, _ = code_of(await gateway.exchange(request(line)))
        assert status == expected
        assert upstream.connections == []


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "host_invalid", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "host_invalid", id="two"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "host_invalid", id="a space in it"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "host_invalid", id="a slash in it"),
        pytest.param(b'GET / HTTP/1.1\r\nHost: a"\r\n\r\n', "host_invalid", id="a quote in it"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "host_invalid", id="user info"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "host_invalid", id="empty"),
    ],
)
async def test_exactly_one_valid_host_is_asked_for(
    before: Opened, head: bytes, expected: str
) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        assert code_of(await gateway.exchange(head)) == (400, expected)
        assert upstream.connections == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked", id="length and chunked"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5", id="chunked and length"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 5", id="two lengths"),
        pytest.param(b"Content-Length: 5, 5", id="a list of lengths"),
        pytest.param(b"Content-Length: +5", id="signed"),
        pytest.param(b"Content-Length: 0x5", id="hexadecimal"),
        pytest.param(b"Content-Length: 5\x0b", id="vertical tab"),
        pytest.param(b"Content-Length:", id="empty"),
        pytest.param(b"Content-Length: 99999999999999999999", id="beyond 64 bits"),
        pytest.param(b"Transfer-Encoding: gzip, chunked", id="gzip"),
        pytest.param(b"Transfer-Encoding: chunked, identity", id="chunked not last"),
        pytest.param(b"Transfer-Encoding: xchunked", id="unknown coding"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", id="twice"),
        pytest.param(b"Transfer-Encoding : chunked", id="space before the colon"),
        pytest.param(b"X: a\r\n b", id="folded"),
        pytest.param(b"X: a\nY: b", id="bare LF"),
        pytest.param(b"X: a\rY: b", id="bare CR"),
        pytest.param(b"X Y: b", id="space in a name"),
        pytest.param(b": b", id="empty name"),
        pytest.param(b"X: a\x00b", id="NUL in a value"),
    ],
)
async def test_doubtful_framing_is_refused_and_nothing_behind_it_runs(
    before: Opened, fields: bytes
) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        first = b"POST /first HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n0\r\n\r\n"
        answer = await gateway.exchange(first + request(b"GET /second HTTP/1.1"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert not any(b"/second" in head for head in upstream.heads)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param([b"X-%d: a" % n for n in range(101)], "header_too_large", id="many"),
        pytest.param([b"X-%d: a" % n for n in range(9000)], "header_too_large", id="very many"),
        pytest.param([b"X: " + b"a" * 33_000], "header_too_large", id="large"),
    ],
)
async def test_too_large_a_head_is_refused(
    before: Opened, fields: list[bytes], reason: str
) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        answer = await gateway.exchange(request(b"GET / HTTP/1.1", *fields))
        assert code_of(answer) == (431, reason)
        assert upstream.connections == []


async def test_another_upgrade_is_answered_as_plain_http(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        answer = await gateway.exchange(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert answer.endswith(b"connection: close\r\n\r\nok")
        assert b"upgrade" not in upstream.heads[0].lower()


async def test_an_upgrade_with_a_body_is_refused(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        answer = await gateway.exchange(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
            b"Content-Length: 2\r\n\r\nhi"
        )
        assert code_of(answer) == (400, "request_invalid")
        assert upstream.connections == []


async def test_bad_bytes_behind_a_request_do_not_spoil_its_answer(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, _):
        answer = await gateway.exchange(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n" + request()
        )
        assert answer.count(b"HTTP/1.1 200 OK") == 1
        assert answer.endswith(b"ok")


async def test_an_h2c_upgrade_is_refused(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        answer = await gateway.exchange(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        assert code_of(answer) == (400, "upgrade_refused")
        assert upstream.connections == []


class TestUploads:
    async def test_a_body_with_a_length_arrives_whole(self, before: Opened) -> None:
        body = bytes(range(256)) * 4000  # 1 MB, in many pieces

        async def script(connection: Upstreamed) -> None:
            head = await connection.head()
            assert b"content-length: 1024000\r\n" in head
            received = await connection.reader.readexactly(len(body))
            answer = b"same" if received == body else b"else"
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + answer)

        async with before(script) as (gateway, _):
            field = b"Content-Length: %d" % len(body)
            answer = await gateway.exchange(request(b"PUT /b HTTP/1.1", field, body=body))
            assert answer.endswith(b"same")

    async def test_a_chunked_body_arrives_chunked(self, before: Opened) -> None:
        async def script(connection: Upstreamed) -> None:
            head = await connection.head()
            assert b"\r\ntransfer-encoding: chunked\r\n" in head
            assert b"content-length" not in head
            raw = await connection.reader.readuntil(b"0\r\n\r\n")
            parts = raw.split(b"\r\n")
            data = b"".join(parts[1::2])
            await connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
            )

        async with before(script) as (gateway, _):
            client = await gateway.connect()
            await client.send(request(b"POST /b HTTP/1.1", b"Transfer-Encoding: chunked"))
            for piece in (b"hel", b"lo "):
                await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.sleep(0.01)
            await client.send(b"5;ext=1\r\nworld\r\n0\r\nTrailer: x\r\n\r\n")
            assert (await client.rest()).endswith(b"hello world")
            await client.close()

    async def test_an_explicit_zero_is_passed_on(self, before: Opened) -> None:
        async with before(answering(OK)) as (gateway, upstream):
            await gateway.exchange(request(b"POST / HTTP/1.1", b"Content-Length: 0"))
            assert b"\r\ncontent-length: 0\r\n" in upstream.heads[0]

    async def test_the_upstream_is_not_asked_before_the_body_comes(self, before: Opened) -> None:
        async with before(answering(OK)) as (gateway, _):
            client = await gateway.connect()
            field = (b"Content-Length: 2", b"Expect: 100-continue")
            await client.send(request(b"POST / HTTP/1.1", *field))
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"hi")
            assert (await client.rest()).endswith(b"ok")
            await client.close()

    async def test_an_early_answer_passes_while_the_body_still_comes(self, before: Opened) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            await asyncio.sleep(30)

        async with before(script) as (gateway, _):
            client = await gateway.connect()
            await client.send(request(b"POST / HTTP/1.1", b"Content-Length: 1000000", body=b"x"))
            assert b"403 Forbidden" in await client.head()
            assert await client.exactly(2) == b"no"
            await client.close()
            pool = gateway.gateway.upstreams["app"]
            async with asyncio.timeout(5):
                while pool.open_connections:
                    await asyncio.sleep(0.01)

    @pytest.mark.parametrize(
        ("fields", "body"),
        [
            pytest.param([b"Content-Length: 1048577"], b"", id="by its length"),
            pytest.param(
                [b"Transfer-Encoding: chunked"],
                b"100001\r\n" + b"x" * 0x100001 + b"\r\n0\r\n\r\n",
                id="as it comes",
            ),
        ],
    )
    async def test_a_body_over_the_limit_is_refused(
        self, before: Opened, fields: list[bytes], body: bytes
    ) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.reader.read()

        async with before(script) as (gateway, upstream):
            client = await gateway.connect()
            sending = asyncio.create_task(
                client.send(request(b"POST / HTTP/1.1", *fields, body=body))
            )
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 413 ")
            await asyncio.gather(sending, return_exceptions=True)
            await client.close()
            if not body:
                assert upstream.connections == []

    async def test_a_body_that_stops_coming_is_a_408(self, before: Opened) -> None:
        async with before(answering(OK)) as (gateway, upstream):
            client = await gateway.connect()
            await client.send(request(b"POST / HTTP/1.1", b"Content-Length: 10"))
            assert code_of(await client.rest()) == (408, "body_timeout")
            assert upstream.connections == []
            await client.close()

    async def test_a_body_that_stops_midway_is_a_408_and_no_end(self, before: Opened) -> None:
        ended = asyncio.Event()

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            received = b""
            try:
                while data := await connection.reader.read(65536):
                    received += data
            except ConnectionError:
                pass
            assert received == b"hello"
            ended.set()

        async with before(script) as (gateway, _):
            client = await gateway.connect()
            await client.send(request(b"POST / HTTP/1.1", b"Content-Length: 10", body=b"hello"))
            assert code_of(await client.rest()) == (408, "body_timeout")
            await asyncio.wait_for(ended.wait(), 5)
            await client.close()

    async def test_a_client_that_leaves_midway_never_looks_like_an_end(
        self, before: Opened
    ) -> None:
        left: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            received = b""
            try:
                while data := await connection.reader.read(65536):
                    received += data
            except ConnectionError:
                pass
            left.set_result(received)

        async with before(script) as (gateway, _):
            client = await gateway.connect()
            chunked = b"Transfer-Encoding: chunked"
            await client.send(request(b"POST / HTTP/1.1", chunked, body=b"5\r\nhello\r\n"))
            await asyncio.sleep(0.05)
            await client.close()
            received = await asyncio.wait_for(left, 5)
            assert received == b"5\r\nhello\r\n"

    async def test_an_upstream_that_takes_no_more_is_a_504(self, tmp_path: Path) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(30)

        async with scripted(script) as upstream:
            config = f"""
server: {{max_body_size: 100MiB}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{upstream.port}"], timeouts: {{read: 300ms}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""
            async with gateway_running(config, tmp_path) as gateway:
                client = await gateway.connect()
                field = b"Content-Length: 50000000"
                sending = asyncio.create_task(
                    client.send(request(b"PUT / HTTP/1.1", field, body=b"x" * 50_000_000))
                )
                assert (await client.head()).startswith(b"HTTP/1.1 504 ")
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                client.writer.transport.abort()


class TestForwardingFields:
    CONFIG = """
server: {{trusted_proxies: [127.0.0.0/8]}}
upstreams: {{app: {{servers: ["http://127.0.0.1:{port}"], preserve_host: {preserve}}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""

    async def test_a_trusted_chain_is_kept_and_extended(self, tmp_path: Path) -> None:
        async with scripted(answering(OK)) as upstream:
            config = self.CONFIG.format(port=upstream.port, preserve="true")
            async with gateway_running(config, tmp_path) as gateway:
                await gateway.exchange(
                    request(
                        b"GET / HTTP/1.1",
                        b"X-Forwarded-For: 203.0.113.7, 10.0.0.1",
                        b"X-Forwarded-Proto: https",
                        b"X-Forwarded-Host: shop.example",
                        b"X-Request-Id: abc-1",
                        b"X-Real-IP: 203.0.113.7",
                    )
                )
        head = upstream.heads[0]
        assert b"\r\nx-forwarded-for: 203.0.113.7, 10.0.0.1, 127.0.0.1\r\n" in head
        assert b"\r\nx-forwarded-proto: https\r\n" in head
        assert b"\r\nx-forwarded-host: shop.example\r\n" in head
        assert b"\r\nx-request-id: abc-1\r\n" in head
        assert b"\r\nX-Real-IP: 203.0.113.7\r\n" in head

    async def test_without_preserve_host_the_upstream_sees_its_own_name(
        self, tmp_path: Path
    ) -> None:
        async with scripted(answering(OK)) as upstream:
            config = self.CONFIG.format(port=upstream.port, preserve="false")
            async with gateway_running(config, tmp_path) as gateway:
                await gateway.exchange(request())
        assert b"\r\nhost: 127.0.0.1:%d\r\n" % upstream.port in upstream.heads[0]
        assert b"\r\nx-forwarded-host: example.org\r\n" in upstream.heads[0]


async def test_names_are_spelled_as_the_client_did(before: Opened) -> None:
    async with before(answering(OK)) as (gateway, upstream):
        await gateway.exchange(
            b"GET / HTTP/1.1\r\nHOST: a\r\nX-Odd-CASE: 1\r\nX-Hop: 2\r\nsoap: 3\r\n"
            b"Connection: close, x-hop\r\n\r\n"
        )
        [head] = upstream.heads
        assert b"\r\nX-Odd-CASE: 1\r\n" in head
        assert b"\r\nsoap: 3\r\n" in head
        assert b"X-Hop" not in head
