"""What the tests of WebSockets share: a gateway before scripted upstreams that open them."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha1
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve

from tests.servers import (
    Client,
    RunningGateway,
    Script,
    ScriptedUpstream,
    Upstreamed,
    gateway_running,
    scripted,
)

CONFIG = """
server: {{graceful_shutdown: 3s}}
logging: {{access_log: false}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{port}"], timeouts: {{read: {read}}}, max_connections: 4}}
routes:
  - {{path: /plain, auth: none, upstream: app}}
  - {{path: /, auth: none, upstream: app, websocket: true}}
"""
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY
)
ACCEPT = b64encode(sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
OPENED = SWITCHING % ACCEPT


@contextlib.asynccontextmanager
async def before(
    script: Script, directory: Path, read: str = "5s"
) -> AsyncIterator[tuple[RunningGateway, ScriptedUpstream]]:
    async with scripted(script) as upstream:
        config = CONFIG.format(port=upstream.port, read=read)
        async with gateway_running(config, directory) as gateway:
            yield gateway, upstream


async def opened(gateway: RunningGateway) -> Client:
    client = await gateway.connect()
    await client.send(HANDSHAKE)
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    return client


async def is_over(gateway: RunningGateway, seconds: float = 3) -> bool:
    """Whether no socket is left after a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while len(gateway.gateway.sockets):
                await asyncio.sleep(0.01)
    return not len(gateway.gateway.sockets)


def opening(then: Script) -> Script:
    """A script that opens a socket."""

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(OPENED)
        await then(connection)

    return script


async def echo(connection: Upstreamed) -> None:
    while data := await connection.reader.read(65536):
        await connection.send(data)


@contextlib.asynccontextmanager
async def talking(directory: Path) -> AsyncIterator[tuple[RunningGateway, str]]:
    """A gateway before a real server, which says back what it hears."""

    async def answer(socket: ServerConnection) -> None:
        async for message in socket:
            if message == "bye":
                await socket.close(4001, "enough")
            else:
                await socket.send(message)

    async with serve(answer, "127.0.0.1", 0, max_size=None, subprotocols=None) as server:
        port = server.sockets[0].getsockname()[1]
        config = CONFIG.format(port=port, read="300ms")
        async with gateway_running(config, directory) as gateway:
            yield gateway, f"ws://127.0.0.1:{gateway.port}/ws"
