"""One connection to a server, which many calls share: what is said goes out in turn (pipelining).

Rules
- Answers come in the order of what was said; that of a caller who went away is read and dropped.
- Whatever breaks the connection ends the link, and fails all that is not answered yet.
- What is said within one turn of the event loop goes out in one write.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError

from gateway.stores.scripts import Command

Answers = list[Any]


class Link:
    """Speaks on a connection, which it opens and ends. Its length counts what is not answered."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._unsent: list[bytes] = []
        self._unanswered: deque[tuple[asyncio.Future[Answers], int]] = deque()
        self._has_unsent = asyncio.Event()
        self._failure: Exception | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._begin(self._run())

    def __repr__(self) -> str:
        return f"<Link unanswered={len(self)} failure={self._failure}>"

    def __len__(self) -> int:
        return len(self._unanswered)

    @property
    def is_ended(self) -> bool:
        return self._failure is not None

    def say(self, *commands: Command) -> asyncio.Future[Answers]:
        """Says all commands, with none between them; of the answers, a refusal is ResponseError."""
        answers: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        if self._failure is not None:
            _fail(answers, self._failure)
            return answers
        self._unsent.append(_packed(commands))
        self._unanswered.append((answers, len(commands)))
        self._has_unsent.set()
        return answers

    def end(self, failure: Exception) -> None:
        """Fails what is not answered; the connection ends soon after, see `ended`."""
        if self._failure is not None:
            return
        self._failure = failure
        for task in self._tasks:
            task.cancel()
        for answers, _ in self._unanswered:
            _fail(answers, failure)
        self._unanswered.clear()
        self._unsent.clear()

    async def ended(self) -> None:
        """Returns when the connection of an ended link is closed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._see_end)
        self._tasks.append(task)

    def _see_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(
                error if isinstance(error, RedisError | OSError) else Disconnected(repr(error))
            )

    async def _run(self) -> None:
        """Opens the connection, and sends what is said."""
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]
            self._begin(self._read())
            while True:
                await self._has_unsent.wait()
                self._has_unsent.clear()
                words = b"".join(self._unsent)
                self._unsent.clear()
                await self._connection.send_packed_command(words, check_health=False)
        finally:
            await self._connection.disconnect(nowait=True)

    async def _read(self) -> None:
        heard: Answers = []
        while True:
            try:
                heard.append(await self._connection.read_response())
            except ResponseError as error:
                heard.append(error)
            if not self._unanswered:
                raise Disconnected("the server answers what nobody has asked")
            answers, count = self._unanswered[0]
            if len(heard) == count:
                self._unanswered.popleft()
                if not answers.done():
                    answers.set_result(heard)
                heard = []


async def converse(connection: AbstractConnection, *commands: Command) -> Answers:
    """Says commands on a connection that nobody shares, and reads all their answers."""
    await connection.send_packed_command(_packed(commands), check_health=False)
    answers: Answers = []
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


def _fail(answers: asyncio.Future[Answers], failure: Exception) -> None:
    if not answers.done():
        answers.set_exception(failure)
        answers.exception()  # a caller that is cancelled in this very turn will not look


def _packed(commands: Sequence[Command]) -> bytes:
    return b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]
