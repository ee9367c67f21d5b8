"""Clients that ask without a pause, on kept and on new connections, and keep account of it."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

REQUEST = b"GET /load/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /load/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PATIENCE = 30.0  # seconds for one answer


@dataclass
class Load:
    """What came of the requests so far.

    `raced` are those that a kept connection ended without a byte of an answer, as any server may
    when it stops (RFC 9112 §9.3.1): a client sends them again. `lost` were cut within the answer,
    or had a new connection to themselves.
    """

    address: str
    statuses: Counter[int] = field(default_factory=Counter)
    raced: int = 0
    refused: int = 0  # connections that nobody accepted
    lost: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds, of an answer
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    async def until_answered(self, number: int) -> None:
        """Returns once that many requests more have been answered."""
        goal = self.answered + number
        async with asyncio.timeout(60):
            while self.answered < goal:
                await asyncio.sleep(0.005)

    async def keep_asking(self) -> None:
        """On one connection for as long as it is open, then on the next."""
        while not self._end.is_set():
            if (streams := await self._open()) is None:
                return
            asked = 0
            while not self._end.is_set() and await self._ask(*streams, is_new=not asked):
                asked += 1
            streams[1].close()

    async def ask_anew(self) -> None:
        """On a new connection each time."""
        while not self._end.is_set():
            if (streams := await self._open()) is None:
                return
            await self._ask(*streams, is_new=True, request=LAST)
            streams[1].close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        host, _, port = self.address.removeprefix("http://").rpartition(":")
        try:
            if host == "unix":
                return await asyncio.open_unix_connection(port)
            return await asyncio.open_connection(host, int(port))
        except (ConnectionError, FileNotFoundError):
            self.refused += 1
            return None

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_new: bool,
        request: bytes = REQUEST,
    ) -> bool:
        """Whether it was answered, and the connection goes on."""
        began, head = time.perf_counter(), b""
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await _read_body(reader, head.lower())
        except asyncio.IncompleteReadError as error:
            self._miss(is_new or bool(head or error.partial), "cut")
            return False
        except ConnectionError as error:
            self._miss(is_new or bool(head), type(error).__name__)
            return False
        except TimeoutError:
            self._miss(True, "no answer")
            return False
        self.statuses[int(head[9:12])] += 1
        self.longest = max(self.longest, time.perf_counter() - began)
        return b"\r\nconnection: close\r\n" not in head.lower()

    def _miss(self, is_loss: bool, why: str) -> None:
        if is_loss:
            self.lost.append(why)
        else:
            self.raced += 1

    @contextlib.asynccontextmanager
    async def running(self, *, kept: int, anew: int) -> AsyncIterator["Load"]:
        """So many clients of each kind, until the context is left."""
        tasks = [asyncio.create_task(self.keep_asking()) for _ in range(kept)]
        tasks += [asyncio.create_task(self.ask_anew()) for _ in range(anew)]
        try:
            yield self
        finally:
            self._end.set()
            await asyncio.gather(*tasks)


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"transfer-encoding: chunked" in head:
        while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
        return
    place = head.find(b"content-length:")
    await reader.readexactly(int(head[place + 15 :].split(b"\r\n", 1)[0]))
