"""A client that costs little: kept connections, requests as ready bytes, answers split and no more.

What is measured is the gateway, on the same few cores.
"""

import asyncio
import json
import time
from typing import Any, NamedTuple, cast


class Reply(NamedTuple):
    """One answer."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            field, _, value = line.partition(b":")
            if field.lower() == name.lower().encode():
                return value.strip().decode()
        return None

    def json(self) -> Any:
        return json.loads(self.body)


class Line(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._reply: asyncio.Future[Reply] | None = None
        self._ended = asyncio.Event()

    @classmethod
    async def open(cls, address: str) -> "Line":
        host, _, port = address.removeprefix("http://").rpartition(":")
        _, line = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return line

    def ask(self, request: bytes) -> "asyncio.Future[Reply]":
        """Sends at once; the future fails with ConnectionError where no answer comes."""
        assert self._reply is None or self._reply.done(), "one request at a time"
        self._reply = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._reply.set_exception(ConnectionResetError("the connection is over"))
        else:
            self._transport.write(request)
        return self._reply

    async def close(self) -> None:
        """Ends the connection without a word, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
            await self._ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._reply is None:
            return
        head = self._received[:end]
        length = _length(head)
        if len(self._received) < end + 4 + length:
            return
        body = self._received[end + 4 : end + 4 + length]
        self._received = self._received[end + 4 + length :]
        if not self._reply.done():
            self._reply.set_result(Reply(int(head[9:12]), head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ended.set()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionResetError("the connection ended"))
            self._reply.exception()  # nobody may be waiting for it any more


class Lines:
    """Opens lines, and closes them all when it is left."""

    def __init__(self) -> None:
        self._open: list[Line] = []

    async def __aenter__(self) -> "Lines":
        return self

    async def __aexit__(self, *error: object) -> None:
        for line in self._open:
            await line.close()

    async def to(self, address: str) -> Line:
        line = await Line.open(address)
        self._open.append(line)
        return line


async def timed(line: Line, request: bytes) -> tuple[Reply, float]:
    """The answer, and the seconds it took."""
    began = time.perf_counter()
    reply = await line.ask(request)
    return reply, time.perf_counter() - began


async def until_status(line: Line, request: bytes, status: int, *, patience: float = 5.0) -> float:
    """Asks again and again until that is the answer; the seconds it took."""
    began = time.perf_counter()
    while (reply := await line.ask(request)).status != status:
        assert time.perf_counter() - began < patience, reply
    return time.perf_counter() - began


def _length(head: bytes) -> int:
    place = head.lower().find(b"\r\ncontent-length:")
    assert place >= 0, head
    return int(head[place + 17 :].split(b"\r\n", 1)[0])
