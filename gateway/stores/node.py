"""One server of the store, and the connections to it.

Rules
- A connection serves one exchange at a time, and goes back only after all its answers were read.
- Whatever breaks off an exchange, a cancelled caller too, ends its connection.
- A closed node refuses at once, and breaks off what is under way.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from gateway.stores.scripts import Command

MAX_CONNECTIONS = 32


class Node:
    """A server. `open_connection` makes a connection to it, `name` says in logs which it is."""

    def __init__(
        self,
        name: str,
        *,
        open_connection: Callable[[], AbstractConnection],
        size: int = MAX_CONNECTIONS,
    ) -> None:
        self.name = name
        self.replicas = 0
        self._open_connection = open_connection
        self._places = asyncio.Semaphore(size)
        self._idle: list[AbstractConnection] = []
        self._busy: set[AbstractConnection] = set()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Node {self.name} idle={len(self._idle)} busy={len(self._busy)}>"

    @property
    def busy_connections(self) -> int:
        return len(self._busy)

    async def exchange(self, *commands: Command) -> list[Any]:
        """Says all commands at once; the answers in their order, a refusal as ResponseError."""
        async with self.connection() as connection:
            return await converse(connection, *commands)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AbstractConnection]:
        """One of the pool's connections; waits until one is free."""
        async with self._places, self._open(await self._idle_one() or self._new()) as connection:
            yield connection
            if not self._is_closed:
                self._busy.discard(connection)
                self._idle.append(connection)

    @contextlib.asynccontextmanager
    async def dedicated(self) -> AsyncIterator[AbstractConnection]:
        """A connection beside the pool, for one who blocks it."""
        async with self._open(self._new()) as connection:
            yield connection

    def give_up(self) -> None:
        """From now on it refuses; `close` follows."""
        self._is_closed = True

    async def close(self) -> None:
        self.give_up()
        for connection in [*self._idle, *self._busy]:
            await connection.disconnect(nowait=True)
        self._idle.clear()

    def _new(self) -> AbstractConnection:
        if self._is_closed:
            raise Disconnected("the node was given up")
        return self._open_connection()

    async def _idle_one(self) -> AbstractConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not _is_ended(connection):
                return connection
            await connection.disconnect(nowait=True)
        return None

    @contextlib.asynccontextmanager
    async def _open(self, connection: AbstractConnection) -> AsyncIterator[AbstractConnection]:
        """The connection, open; it is ended unless it was made idle."""
        self._busy.add(connection)
        try:
            await _connect(connection)
            if self._is_closed:  # while it was being opened
                raise Disconnected("the node was given up")
            yield connection
        finally:
            if connection in self._busy:
                self._busy.discard(connection)
                await connection.disconnect(nowait=True)


async def converse(connection: AbstractConnection, *commands: Command) -> list[Any]:
    """Says commands on a connection, and reads all their answers."""
    await _connect(connection)
    words = b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]
    await connection.send_packed_command(words, check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


def taken(answers: Sequence[Any]) -> list[Any]:
    """The answers, where none is a refusal."""
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return list(answers)


async def _connect(connection: AbstractConnection) -> None:
    if not connection.is_connected:
        await connection.connect()  # type: ignore[no-untyped-call]


def _is_ended(connection: AbstractConnection) -> bool:
    # The library tells whether the server has closed a connection only by reading from it.
    reader = getattr(connection, "_reader", None)
    return reader is None or reader.at_eof()
