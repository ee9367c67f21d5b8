"""Who waits for a connection: in their order, those who are to be served first before the rest."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from gateway.errors import UpstreamError

if TYPE_CHECKING:
    from gateway.upstream.connection import UpstreamConnection
    from gateway.upstream.server import Server

    # A connection that came free, or the server where one may be opened.
    Place: TypeAlias = UpstreamConnection | Server


class Waiters:
    """A bounded queue. Each place is a future; who leaves before takes it out again."""

    __slots__ = ("_most", "_others", "_urgent")

    def __init__(self, most: int) -> None:
        self._most = most
        self._urgent: deque[asyncio.Future[Place]] = deque()
        self._others: deque[asyncio.Future[Place]] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def join(self, *, is_urgent: bool) -> "asyncio.Future[Place]":
        """A place at the end; raises UpstreamError where all are taken.

        Of a full queue, the last of the others makes room for who is urgent.
        """
        if len(self) >= self._most:
            if not (is_urgent and self._others):
                raise UpstreamError.saturated()
            last = self._others.pop()
            if not last.done():
                last.set_exception(UpstreamError.saturated())
        place: asyncio.Future[Place]
        place = asyncio.get_running_loop().create_future()
        (self._urgent if is_urgent else self._others).append(place)
        return place

    def leave(self, place: "asyncio.Future[Place]") -> None:
        for queue in (self._urgent, self._others):
            if place in queue:
                queue.remove(place)

    def next(self) -> "asyncio.Future[Place] | None":
        """Who has waited longest, taken out."""
        for queue in (self._urgent, self._others):
            while queue:
                place = queue.popleft()
                if not place.done():
                    return place
        return None

    def refuse_all(self, error: UpstreamError) -> None:
        while (place := self.next()) is not None:
            place.set_exception(error)
