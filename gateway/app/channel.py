"""How the supervisor speaks to a worker: calls and answers over a socket pair that only they hold.

Rules
- Either end's death is the end of the channel for the other; nothing is awaited for ever.
- What is sent is pickled: both ends are one program, and nobody else has the socket.
"""

import asyncio
import contextlib
import itertools
import logging
import pickle
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

_LOG = logging.getLogger(__name__)

_LENGTH = struct.Struct("!I")

Answer = Callable[[str, Any], Awaitable[Any]]


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """One end. `answer(verb, argument)` is what the other end's calls are answered with."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: Answer
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = asyncio.create_task(self._read(), name="channel")

    @classmethod
    async def open(cls, end: socket.socket, *, answer: Answer) -> "Channel":
        return cls(*await asyncio.open_unix_connection(sock=end), answer=answer)

    async def call(self, verb: str, argument: Any = None, *, patience: float) -> Any:
        """What the other end answers; raises ChannelClosed, and TimeoutError after `patience`."""
        if self._reading.done():
            raise ChannelClosed(verb)
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send((number, verb, argument))
            async with asyncio.timeout(patience):
                return await self._waiting[number]
        finally:
            del self._waiting[number]

    async def closed(self) -> None:
        """Returns when the other end is gone."""
        await asyncio.wait([self._reading])

    async def close(self) -> None:
        self._reading.cancel()
        await self.closed()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()

    def _send(self, message: tuple[int, str | None, Any]) -> None:
        data = pickle.dumps(message)
        self._writer.write(_LENGTH.pack(len(data)) + data)

    async def _read(self) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                    self._take(await self._reader.readexactly(length))
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ChannelClosed())

    def _take(self, data: bytes) -> None:
        number, verb, value = pickle.loads(data)  # noqa: S301 - see the rules
        if verb is not None:
            task = asyncio.create_task(self._reply(number, verb, value))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif number in self._waiting and not self._waiting[number].done():
            self._waiting[number].set_result(value)

    async def _reply(self, number: int, verb: str, argument: Any) -> None:
        try:
            answer = await self._answer(verb, argument)
        except Exception as error:  # noqa: BLE001 - logged; who asked must not wait in vain
            _LOG.exception("the call %s failed", verb)
            answer = f"{verb} failed: {type(error).__name__}"
        self._send((number, None, answer))
