"""What the gateway asks an upstream itself: one whole request, one whole answer."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.config import UpstreamConfig
from gateway.errors import UpstreamError
from gateway.upstream.call import LARGEST_REPLY, call
from gateway.upstream.pool import Upstream
from tests.servers import Script, ScriptedUpstream, Upstreamed, answering, scripted

OK = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"


@contextlib.asynccontextmanager
async def asking(script: Script) -> AsyncIterator[tuple[Upstream, ScriptedUpstream]]:
    async with scripted(script) as app:
        settings = UpstreamConfig.model_validate(
            {
                "servers": [f"http://127.0.0.1:{app.port}"],
                "timeouts": {"read": "300ms", "idle": "5s"},
            }
        )
        upstream = Upstream("app", settings)
        upstream.start()
        try:
            yield upstream, app
        finally:
            await upstream.stop()


async def test_an_answer_comes_whole() -> None:
    async with asking(answering(OK)) as (upstream, _):
        reply = await call(upstream, POST, is_idempotent=False)
    assert (reply.status, reply.body, reply.header(b"x-a")) == (200, b"ok", b"b")
    assert reply.header(b"x-b") is None


async def test_what_is_not_idempotent_has_a_connection_of_its_own() -> None:
    async with asking(answering(OK)) as (upstream, app):
        for _ in range(3):
            await call(upstream, POST, is_idempotent=False)
        assert len(app.connections) == 3
        await call(upstream, GET, is_idempotent=True)
        assert len(app.connections) == 3


async def once(connection: Upstreamed) -> None:
    """Answers one request on each connection, and hangs up on the next."""
    await connection.head()
    await connection.send(OK)
    await connection.head()
    connection.reset()


async def test_a_connection_that_had_gone_stale_costs_no_answer() -> None:
    async with asking(once) as (upstream, app):
        await call(upstream, GET, is_idempotent=True)
        assert (await call(upstream, GET, is_idempotent=True)).body == b"ok"
        assert len(app.connections) == 2


async def too_much(connection: Upstreamed) -> None:
    await connection.head()
    await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(LARGEST_REPLY // 65536 + 2):
        await connection.send(bytes(65536))


async def silent(connection: Upstreamed) -> None:
    await connection.head()
    await connection.reader.read()


async def halfway(connection: Upstreamed) -> None:
    await connection.head()
    await connection.send(OK[:-1])


@pytest.mark.parametrize(
    ("script", "reason"),
    [(too_much, "upstream_broken"), (silent, "upstream_timeout"), (halfway, "upstream_broken")],
)
async def test_what_is_no_answer_is_an_error_and_frees_the_connection(
    script: Script, reason: str
) -> None:
    async with asking(script) as (upstream, _):
        with pytest.raises(UpstreamError) as caught:
            await call(upstream, GET, is_idempotent=True)
        assert caught.value.reason == reason
        assert upstream.open_connections == 0
