"""One server of the store, and the links to it.

Rules
- All calls share one link. What waits for a replica waits on a second one, and delays nobody.
- A link that has ended is replaced when something is to be said.
- A node that was given up refuses at once, and fails what is under way.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected

from gateway.stores.link import Answers, Link
from gateway.stores.scripts import Command

PING: Command = ("PING",)


class Node:
    """A server. `open_connection` makes a connection to it, `name` says in logs which it is."""

    def __init__(self, name: str, *, open_connection: Callable[[], AbstractConnection]) -> None:
        self.name = name
        self.replicas = 0
        # Proves that it takes writes (the next ones where that slot has gone elsewhere).
        self.probe: Command = PING
        self.probes: Iterator[Command] = iter(())
        self._open_connection = open_connection
        self._is_closed = False
        self._links: dict[str, Link] = {}
        self._dedicated: set[AbstractConnection] = set()
        self._settling: asyncio.Future[Answers] | None = None
        self._ahead: float | None = None

    def __repr__(self) -> str:
        return f"<Node {self.name} unanswered={self.unanswered}>"

    @property
    def unanswered(self) -> int:
        """How much was said, by `say`, and not answered yet."""
        return len(self._links["calls"]) if "calls" in self._links else 0

    def say(self, *commands: Command) -> asyncio.Future[Answers]:
        """See `Link.say`. Raises Disconnected when the node was given up."""
        return self._link("calls").say(*commands)

    def clock(self) -> float:
        """The server's clock in epoch seconds, or what was seen of it last.

        It may seem ahead, by no more than the round trip in which it was seen.
        """
        return time.time() if self._ahead is None else time.monotonic() + self._ahead

    def see_clock(self, answer: Sequence[bytes], *, asked: float) -> None:
        """Takes an answer to TIME; `asked` is when, by the monotonic clock."""
        seconds, micros = answer
        self._ahead = int(seconds) + int(micros) / 1e6 - asked

    async def settle(self, write: Command, *, within: int) -> None:
        """Returns when a replica has all that was written before; after twice `within` ms anyway.

        `write` is anything that replicas are told: WAIT is about what its own connection wrote.
        """
        # An idle server sees only at its next tick, up to 100 ms later, that a WAIT is over.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * within / 1000):
                await self._settled(write, within)

    @contextlib.asynccontextmanager
    async def dedicated(self) -> AsyncIterator[AbstractConnection]:
        """A connection beside the links, for one who blocks it."""
        self._refuse_if_closed()
        connection = self._open_connection()
        self._dedicated.add(connection)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._refuse_if_closed()
            yield connection
        finally:
            self._dedicated.discard(connection)
            await connection.disconnect(nowait=True)

    def give_up(self) -> None:
        """From now on it refuses, and what is under way fails; `close` follows."""
        self._is_closed = True
        for link in self._links.values():
            link.end(Disconnected("the node was given up"))

    async def close(self) -> None:
        self.give_up()
        for connection in list(self._dedicated):
            await connection.disconnect(nowait=True)
        for link in self._links.values():
            await link.ended()

    async def _settled(self, write: Command, within: int) -> None:
        # One WAIT after the other would add up: all who come during one share the next.
        before = self._settling
        if before is not None and not before.done():
            await asyncio.wait([before])
        if self._settling is before:
            self._settling = self._link("waits").say(write, ("WAIT", 1, within))
        assert self._settling is not None
        await asyncio.shield(self._settling)

    def _link(self, use: str) -> Link:
        self._refuse_if_closed()
        link = self._links.get(use)
        if link is None or link.is_ended:
            link = self._links[use] = Link(self._open_connection())
        return link

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise Disconnected("the node was given up")
