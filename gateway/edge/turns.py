"""Accepting from one listening socket that several processes share.

Rule: a turn takes one connection, and then it is the others'; whoever wakes first would take all. A
turn that left some waiting is followed by one of twice the length, one that found too few by one of
half.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

REST = 0.001  # seconds
OUT_OF_FILES = 0.1  # … after which one that could not accept tries again
MOST = 16  # connections of one turn


class Turns:
    """Takes connections in turns; as a server of asyncio's, for who closes it."""

    def __init__(
        self, listener: socket.socket, *, take: Callable[[socket.socket], Awaitable[object]]
    ) -> None:
        self._listener = listener
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._length = 1
        self._resting: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[object]] = set()
        listener.setblocking(False)
        self._wait()

    def close(self) -> None:
        """Takes nobody any more; may be called again."""
        if self._listener.fileno() < 0:
            return
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    async def wait_closed(self) -> None:
        """Returns when those that were accepted have their protocol."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_waiting(self) -> bool:
        """Whether the next connection is taken at once."""
        return self._resting is None

    def _wait(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listener, self._turn)

    def _turn(self) -> None:
        rest, taken = REST, 0
        try:
            while taken < self._length:
                connection, _ = self._listener.accept()
                taken += 1
                task = asyncio.ensure_future(self._take(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            self._length = min(2 * self._length, MOST)
        except BlockingIOError:  # none is left, or another one was faster
            self._length = max(self._length // 2, 1)
        except OSError:
            rest = OUT_OF_FILES
        if taken or rest > REST:
            self._loop.remove_reader(self._listener)
            self._resting = self._loop.call_later(rest, self._wait)
