"""Real servers on loopback for tests: the gateway in the test's own loop, scripted upstreams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn

from gateway.app import Gateway
from gateway.app.worker import edge_settings
from gateway.config.load import load
from gateway.edge.ports import listen
from gateway.edge.server import SideServer, edge_config
from gateway.edge.socket_file import SocketFile

Script = Callable[["Upstreamed"], Awaitable[None]]


@dataclass
class Upstreamed:
    """One connection at a scripted upstream: raw bytes in, raw bytes out."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[bytes] = field(default_factory=list)

    async def head(self) -> bytes:
        """The next request's head, its empty line included."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection without a word (RST)."""
        self.writer.transport.abort()


@dataclass
class ScriptedUpstream:
    """An upstream that does what its script says, once per connection."""

    port: int
    connections: list[Upstreamed] = field(default_factory=list)

    @property
    def heads(self) -> list[bytes]:
        return [head for connection in self.connections for head in connection.heads]


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[ScriptedUpstream]:
    """Runs an upstream on a free port; `script(connection)` is called for each connection."""
    tasks: set[asyncio.Task[None]] = set()
    upstream = ScriptedUpstream(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Upstreamed(reader, writer)
        upstream.connections.append(connection)
        try:
            await script(connection)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the peer ended it, or the test
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Script:
    """A script that answers each request on a connection in turn, reading bodies by length."""

    async def script(connection: Upstreamed) -> None:
        turn = 0
        while True:
            head = await connection.head()
            for line in head.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    await connection.reader.readexactly(int(value))
            await connection.send(answers[min(turn, len(answers) - 1)])
            turn += 1

    return script


@dataclass
class RunningGateway:
    """A gateway that serves on `port` in this loop."""

    gateway: Gateway
    port: int
    server: uvicorn.Server
    path: Path | None = None  # of the unix socket that it serves on instead

    async def connect(self) -> "Client":
        if self.path is not None:
            return Client(*await asyncio.open_unix_connection(self.path, limit=2**20))
        return Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))

    async def exchange(self, request: bytes) -> bytes:
        """Sends raw bytes on a new connection, and returns all that comes until it is closed."""
        client = await self.connect()
        try:
            await client.send(request)
            return await client.rest()
        finally:
            await client.close()


@dataclass
class Client:
    """A raw client connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), 10)

    async def rest(self) -> bytes:
        """All bytes until the end of the connection, however it ends."""
        received = b""
        with contextlib.suppress(ConnectionError):
            while data := await asyncio.wait_for(self.reader.read(65536), 10):
                received += data
        return received

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def gateway_running(
    config: str, directory: Path, *, keep_alive: float = 75, at: Path | None = None
) -> AsyncIterator[RunningGateway]:
    """Runs a gateway with this YAML text, the admin listener apart, on a free port or a socket."""
    file = directory / "config.yaml"
    file.write_text(config)
    gateway = Gateway(load(file, environ={}).config)
    if at is None:
        socket = listen("127.0.0.1", 0)
    else:
        socket = SocketFile(at, mode=0o600, backlog=128).listener
    server = SideServer(
        edge_config(
            gateway, replace(edge_settings(gateway), keep_alive=keep_alive, graceful_shutdown=5)
        )
    )
    port = 0 if at is not None else socket.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[socket]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield RunningGateway(gateway, port, server, at)
    finally:
        server.should_exit = True
        await task
