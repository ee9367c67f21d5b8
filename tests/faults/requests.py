"""Clients that get and post without a pause, each POST under a name of its own, and keep count."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.faults.lines import Line

PATIENCE = 60.0  # seconds for one answer
_GET = "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
_POST = (
    "POST /entries/{name}/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
    "Content-Type: application/json\r\n\r\n{{}}"
)
NOTHING = 0  # the status of a request that was never answered


@dataclass
class Clients:
    """What came of the requests so far; `entered` are the names of POSTs that were answered 201."""

    address: str
    path: str = "/nap/0/"
    got: Counter[int] = field(default_factory=Counter)
    posted: Counter[int] = field(default_factory=Counter)
    entered: set[str] = field(default_factory=set)
    took: list[tuple[float, int]] = field(default_factory=list)  # seconds and status of each GET
    _names: "itertools.count[int]" = field(default_factory=itertools.count)
    _is_over: bool = False

    @property
    def gets(self) -> int:
        return self.got.total()

    @property
    def posts(self) -> int:
        return self.posted.total()

    async def until_gets(self, number: int) -> None:
        """Returns once that many GETs more are over."""
        goal = self.gets + number
        async with asyncio.timeout(120):
            while self.gets < goal:
                await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def running(self, *, getting: int, posting: int) -> AsyncIterator["Clients"]:
        """So many of each, until the context is left; what they have begun is waited for."""
        self._is_over = False
        tasks = [asyncio.create_task(self._get()) for _ in range(getting)]
        tasks += [asyncio.create_task(self._post()) for _ in range(posting)]
        try:
            yield self
        finally:
            self._is_over = True
            await asyncio.gather(*tasks)

    async def _get(self) -> None:
        request = _GET.format(path=self.path).encode()
        line: Line | None = None
        while not self._is_over:
            began = time.perf_counter()
            line, status = await self._ask(line, request)
            self.got[status] += 1
            self.took.append((time.perf_counter() - began, status))
        if line is not None:
            await line.close()

    async def _post(self) -> None:
        line: Line | None = None
        while not self._is_over:
            name = f"post-{next(self._names)}-{id(self)}"
            line, status = await self._ask(line, _POST.format(name=name).encode())
            self.posted[status] += 1
            if status == 201:
                self.entered.add(name)
        if line is not None:
            await line.close()

    async def _ask(self, line: Line | None, request: bytes) -> tuple[Line | None, int]:
        """The line for the next request, and this one's status."""
        line = line or await Line.open(self.address)
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await line.ask(request)
        except (ConnectionError, TimeoutError):
            await line.close()
            return None, NOTHING
        if (reply.header("connection") or "").lower() == "close":
            await line.close()
            return None, reply.status
        return line, reply.status
