"""Turns at one listening socket: all that wait are taken, and others are let go first."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.edge.turns import Turns


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen(256)
        yield listening


class Taken:
    """Who was accepted so far."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self._changed = asyncio.Condition()

    async def take(self, connection: socket.socket) -> None:
        async with self._changed:
            self.connections.append(connection)
            self._changed.notify_all()

    async def until(self, number: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.connections) >= number)


def connected(listener: socket.socket, stack: ExitStack) -> socket.socket:
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(listener.getsockname())
    return client


async def test_all_that_wait_are_taken(listener: socket.socket) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            connected(listener, stack)
        taken = Taken()
        turns = Turns(listener, take=taken.take)
        await taken.until(100)
        connected(listener, stack)
        await taken.until(101)
        turns.close()
        turns.close()  # as uvicorn does when it stops
        await turns.wait_closed()
        assert len(taken.connections) == 101
        for connection in taken.connections:
            connection.close()


async def test_two_take_about_as_many(listener: socket.socket) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            connected(listener, stack)
        both = Taken()
        shares = [0, 0]

        async def take(which: int, connection: socket.socket) -> None:
            shares[which] += 1
            await both.take(connection)

        first = Turns(listener.dup(), take=lambda connection: take(0, connection))
        second = Turns(listener.dup(), take=lambda connection: take(1, connection))
        await both.until(100)
        for turns in (first, second):
            turns.close()
            await turns.wait_closed()
        assert min(shares) >= 30
        for connection in both.connections:
            connection.close()


async def test_nobody_is_taken_any_more_when_it_is_closed(listener: socket.socket) -> None:
    with ExitStack() as stack:
        taken = Taken()
        turns = Turns(listener.dup(), take=taken.take)
        connected(listener, stack)
        await taken.until(1)  # it rests now
        turns.close()
        connected(listener, stack)
        listener.setblocking(True)
        listener.accept()[0].close()  # it waits for another one
        assert len(taken.connections) == 1
        taken.connections[0].close()


async def test_without_files_it_waits_for_some(listener: socket.socket) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        client = connected(listener, stack)
        taken = Taken()
        turns = Turns(listener, take=taken.take)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno(), hard))
            async with asyncio.timeout(10):
                while turns.is_waiting:
                    await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert taken.connections == []
        await taken.until(1)
        turns.close()
        taken.connections[0].close()
