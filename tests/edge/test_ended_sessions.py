"""What a session still holds open ends with it: sockets, event streams, long answers."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.edge.protocol import EdgeProtocol
from tests.edge.sockets import HANDSHAKE, OPENED
from tests.factories import SECRET, sign
from tests.servers import Client, RunningGateway, Upstreamed, gateway_running, scripted

CONFIG = """
logging: {{access_log: false}}
server: {{revocation_sweep: 50ms}}
issuers:
  app: {{signing_key: {secret}, endpoints: {{refresh: /refresh/, blacklist: /logout/}}{more}}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{port}"], timeouts: {{read: 100ms}}}}
routes:
  - path: /
    issuers: [app]
    upstream: app
    websocket: {{subprotocol: jwt, query: token}}
    rate_limit: {limit}
"""
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"9\r\ndata: 1\n\n\r\n"
)
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome of it"

# The first by the fast lane where that is on, the other always by the ASGI lane.
LIMITS = pytest.mark.parametrize("limit", ["null", "{rate: 1000/s}"], ids=["free", "limited"])


async def app(connection: Upstreamed) -> None:
    head = await connection.head()
    if b"\r\nupgrade: websocket\r\n" in head:
        await connection.send(OPENED)
    else:
        await connection.send(STREAM if head.startswith(b"GET /events") else LONG)
    await connection.reader.read()  # until the gateway hangs up


@contextlib.asynccontextmanager
async def running(
    directory: Path, limit: str = "null", more: str = ""
) -> AsyncIterator[RunningGateway]:
    async with scripted(app) as upstream:
        config = CONFIG.format(port=upstream.port, secret=SECRET, limit=limit, more=more)
        async with gateway_running(config, directory) as gateway:
            yield gateway


async def post(gateway: RunningGateway, path: str, body: dict[str, str]) -> dict[str, str]:
    data = json.dumps(body).encode()
    answer = await gateway.exchange(
        b"POST %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(data), data)
    )
    head, _, said = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    pair: dict[str, str] = json.loads(said)
    return pair


async def logged_in(gateway: RunningGateway, user: str = "1") -> dict[str, str]:
    now = int(time.time())
    refresh = sign(
        {"token_type": "refresh", "exp": now + 900, "iat": now, "jti": user, "user_id": user}
    )
    return await post(gateway, "/refresh/", {"refresh": refresh})


async def is_left(gateway: RunningGateway, number: int) -> bool:
    """Whether soon no more sockets than these are open."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3):
            while len(gateway.gateway.sockets) > number:
                await asyncio.sleep(0.01)
    return len(gateway.gateway.sockets) == number


async def asked(gateway: RunningGateway, path: str, token: str) -> Client:
    client = await gateway.connect()
    await client.send(
        b"GET %b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n"
        % (path.encode(), token.encode())
    )
    assert (await client.head()).startswith(b"HTTP/1.1 200 ")
    return client


async def with_socket(gateway: RunningGateway, token: str) -> Client:
    client = await gateway.connect()
    await client.send(HANDSHAKE.replace(b"/ws ", b"/ws?token=%b " % token.encode()))
    assert (await client.head()).startswith(b"HTTP/1.1 101 ")
    return client


async def test_a_logout_closes_the_sessions_socket_and_no_other(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        ours, theirs = [await logged_in(gateway, user) for user in ("1", "2")]
        socket, other = [await with_socket(gateway, pair["access"]) for pair in (ours, theirs)]
        await post(gateway, "/logout/", {"refresh": ours["refresh"]})
        assert await socket.rest() == b"\x88\x02\x03\xf0"  # Close, 1008
        await socket.close()
        gateway.gateway.sockets.end_revoked(gateway.gateway.view.has_ended)
        await other.send(b"\x81\x80\x00\x00\x00\x00")
        assert await is_left(gateway, 1)
        await other.close()


@LIMITS
@pytest.mark.parametrize("path", ["/events", "/long"])
async def test_a_logout_cuts_the_answers_that_the_session_still_gets(
    tmp_path: Path, path: str, limit: str
) -> None:
    async with running(tmp_path, limit) as gateway:
        pair = await logged_in(gateway)
        client = await asked(gateway, path, pair["access"])
        await post(gateway, "/logout/", {"refresh": pair["refresh"]})
        rest = await client.rest()
        assert not rest.endswith(b"0\r\n\r\n"), "never a clean end"
        assert len(rest) < 100
        await client.close()
        pool = gateway.gateway.upstreams["app"]
        assert pool.open_connections == 0


async def test_by_default_that_takes_a_second_at_most(tmp_path: Path) -> None:
    async with scripted(app) as upstream:
        config = CONFIG.format(port=upstream.port, secret=SECRET, limit="null", more="")
        config = config.replace("server: {revocation_sweep: 50ms}\n", "")
        async with gateway_running(config, tmp_path) as gateway:
            pair = await logged_in(gateway)
            socket = await with_socket(gateway, pair["access"])
            stream = await asked(gateway, "/events", pair["access"])
            began = time.monotonic()
            await post(gateway, "/logout/", {"refresh": pair["refresh"]})
            await socket.rest()
            await stream.rest()
            assert time.monotonic() - began < 1
            await socket.close()
            await stream.close()


async def test_a_refresh_leaves_the_socket_open(tmp_path: Path) -> None:
    async with running(tmp_path, more=", refresh_grace: 0s") as gateway:
        pair = await logged_in(gateway)
        socket = await with_socket(gateway, pair["access"])
        await post(gateway, "/refresh/", {"refresh": pair["refresh"]})
        gateway.gateway.sockets.end_revoked(gateway.gateway.view.has_ended)
        assert len(gateway.gateway.sockets) == 1
        await socket.close()


@LIMITS
async def test_an_event_stream_outlives_the_read_timeout_and_another_answer_does_not(
    tmp_path: Path, limit: str
) -> None:
    async with running(tmp_path, limit) as gateway:
        pair = await logged_in(gateway)
        stream = await asked(gateway, "/events", pair["access"])
        assert await stream.exactly(14) == b"9\r\ndata: 1\n\n\r\n"
        other = await asked(gateway, "/long", pair["access"])
        await other.rest()  # cut by the sweeper, which has looked at both
        (server,) = gateway.gateway.upstreams["app"].servers
        (connection,) = server.busy
        exchange = connection.exchange
        assert exchange is not None
        assert not exchange.is_overdue(asyncio.get_running_loop().time() + 10_000, 0.1, 0.1)
        await stream.close()
        await other.close()


@LIMITS
async def test_each_event_arrives_before_the_next_is_sent(tmp_path: Path, limit: str) -> None:
    goes_on = asyncio.Semaphore(0)

    async def events(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(STREAM)
        for number in range(2, 6):
            await goes_on.acquire()
            await connection.send(b"9\r\ndata: %d\n\n\r\n" % number)

    async with scripted(events) as upstream:
        config = CONFIG.format(port=upstream.port, secret=SECRET, limit=limit, more="")
        async with gateway_running(config, tmp_path) as gateway:
            pair = await logged_in(gateway)
            stream = await asked(gateway, "/events", pair["access"])
            for number in range(1, 6):
                assert await stream.exactly(14) == b"9\r\ndata: %d\n\n\r\n" % number
                goes_on.release()
            await stream.close()


def test_both_lanes_are_tested(lane: str) -> None:
    assert EdgeProtocol.is_fast is (lane == "fast")
