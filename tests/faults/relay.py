"""A network between the gateways and the store that loses everything, or is slow."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator


class Relay:
    """Passes on what comes, on connections of its own to `target`, as the network is now."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._is_deaf = False
        self._loses_answers = False
        self._delay = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @contextlib.contextmanager
    def swallowing(self) -> Iterator[None]:
        """Connections are accepted and stay open, and all that is sent is lost."""
        self._is_deaf = True
        yield
        self._is_deaf = False

    @contextlib.contextmanager
    def losing_answers(self) -> Iterator[None]:
        """All that is sent arrives, and no answer comes back."""
        self._loses_answers = True
        yield
        self._loses_answers = False

    @contextlib.contextmanager
    def slowed(self, seconds: float) -> Iterator[None]:
        """What is sent to the store arrives so much later."""
        self._delay = seconds
        yield
        self._delay = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        store_reader, store_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, store_writer, is_request=True))
                group.create_task(self._pass(store_reader, writer, is_request=False))
        except* (ConnectionError, asyncio.CancelledError):
            pass  # one side ended it, or the test
        finally:
            self._tasks.discard(task)
            for each in (writer, store_writer):
                each.transport.abort()
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        while data := await reader.read(65536):
            if is_request and self._delay:
                await asyncio.sleep(self._delay)
            if not self._is_deaf and (is_request or not self._loses_answers):
                writer.write(data)
        raise ConnectionResetError  # ends the other direction too


@contextlib.asynccontextmanager
async def relay_to(target: int) -> AsyncIterator[Relay]:
    """A relay on a port of its own to a port on loopback."""
    relay = Relay(target)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.stop()
