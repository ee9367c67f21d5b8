"""A connection that many calls share: every answer reaches the one who asked, or nobody."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, cast

import hiredis
import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from gateway.stores.link import Link

CALLS = 5000


class EchoServer:
    """A connection to a server that answers ECHO with its word, and refuses all else."""

    def __init__(self) -> None:
        self.writes: list[list[list[bytes]]] = []
        self.is_open = False
        self._answers: deque[Any] = deque()
        self._has_changed = asyncio.Event()
        self._is_listening = asyncio.Event()
        self._is_listening.set()

    async def connect(self) -> None:
        await asyncio.sleep(0)
        self.is_open = True

    async def send_packed_command(self, words: bytes, *, check_health: bool) -> None:
        assert not check_health
        reader = hiredis.Reader()
        reader.feed(words)
        commands = []
        while (command := reader.gets()) is not False:
            commands.append(command)
        self.writes.append(commands)
        for command in commands:
            self.answer(command[1] if command[0] == b"ECHO" else ResponseError("unknown"))

    async def read_response(self) -> Any:
        while not self._answers or not self._is_listening.is_set():
            self._has_changed.clear()
            await self._has_changed.wait()
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def disconnect(self, *, nowait: bool) -> None:
        self.is_open = False

    def answer(self, answer: Any) -> None:
        self._answers.append(answer)
        self._has_changed.set()

    def hold(self) -> None:
        """Lets answers wait, until `go_on`."""
        self._is_listening.clear()

    def go_on(self) -> None:
        self._is_listening.set()
        self._has_changed.set()

    def lose(self, count: int) -> None:
        """The connection breaks before the last `count` answers."""
        for _ in range(count):
            self._answers.pop()
        self.answer(Disconnected("reset by peer"))


@pytest.fixture
async def server() -> EchoServer:
    return EchoServer()


@pytest.fixture
async def link(server: EchoServer) -> AsyncIterator[Link]:
    link = Link(cast(AbstractConnection, server))
    yield link
    link.end(Disconnected("the test is over"))
    await link.ended()
    assert not server.is_open


async def test_what_is_said_in_one_turn_goes_out_in_one_write(
    server: EchoServer, link: Link
) -> None:
    first = [link.say(("ECHO", number)) for number in range(100)]
    assert await asyncio.gather(*first) == [[b"%d" % number] for number in range(100)]
    second = [link.say(("ECHO", number)) for number in range(3)]
    await asyncio.gather(*second)
    assert [len(write) for write in server.writes] == [100, 3]


async def test_commands_said_together_are_answered_together(link: Link) -> None:
    single, pair = link.say(("ECHO", "a")), link.say(("ECHO", "b"), ("NONSENSE",), ("ECHO", "c"))
    assert await single == [b"a"]
    first, refusal, last = await pair
    assert (first, str(refusal), last) == (b"b", "unknown", b"c")
    assert isinstance(refusal, ResponseError)
    assert not link.is_ended


async def test_answers_stay_in_order_whoever_goes_away(server: EchoServer, link: Link) -> None:
    chance = random.Random(11)
    answered = 0

    async def call(number: int) -> None:
        nonlocal answered
        words = [f"{number}.{place}" for place in range(chance.randint(1, 3))]
        answers = await link.say(*[("ECHO", word) for word in words])
        assert answers == [word.encode() for word in words]
        answered += 1

    calls: list[asyncio.Task[None]] = []
    for number in range(2 * CALLS):
        calls.append(asyncio.create_task(call(number)))
        if chance.random() < 0.02:
            server.hold()
        if chance.random() < 0.2:
            await asyncio.sleep(0)
        if number % 2:
            calls[-chance.randint(1, min(len(calls), 30))].cancel()
        if chance.random() < 0.02:
            server.go_on()
    server.go_on()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
    assert CALLS < answered < 2 * CALLS - CALLS / 4
    await asyncio.wait_for(link.say(("ECHO", "")), 1)
    assert len(link) == 0


async def test_a_break_fails_what_is_not_answered_and_only_that(
    server: EchoServer, link: Link
) -> None:
    server.hold()
    calls = [link.say(("ECHO", number)) for number in range(20)]
    cancelled = link.say(("ECHO", "x"))
    cancelled.cancel()
    while not server.writes:
        await asyncio.sleep(0)
    server.lose(11)
    server.go_on()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert ends[:10] == [[b"%d" % number] for number in range(10)]
    assert [str(end) for end in ends[10:]] == ["reset by peer"] * 10
    assert all(isinstance(end, Disconnected) for end in ends[10:])
    assert link.is_ended
    with pytest.raises(Disconnected):
        await link.say(("ECHO", "later"))
    await link.ended()
    assert not server.is_open


async def test_a_break_within_an_answer_of_several_fails_it(server: EchoServer, link: Link) -> None:
    server.hold()
    calls = [link.say(("ECHO", "a")), link.say(("ECHO", "b"), ("ECHO", "c"))]
    while not server.writes:
        await asyncio.sleep(0)
    server.lose(1)
    server.go_on()
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert first == [b"a"]
    assert isinstance(second, Disconnected)


async def test_an_answer_to_nothing_ends_the_link(server: EchoServer, link: Link) -> None:
    await link.say(("ECHO", "a"))
    server.answer(b"surprise")
    while not link.is_ended:
        await asyncio.sleep(0)
    with pytest.raises(Disconnected, match="nobody has asked"):
        await link.say(("ECHO", "b"))


async def test_what_was_said_before_a_failed_opening_fails(
    server: EchoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise Disconnected("refused")

    monkeypatch.setattr(server, "connect", refuse)
    link = Link(cast(AbstractConnection, server))
    calls = [link.say(("ECHO", "a")) for _ in range(3)]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(end) for end in ends] == ["refused"] * 3
    await link.ended()


async def test_ending_fails_all_at_once(server: EchoServer, link: Link) -> None:
    server.hold()
    calls = [link.say(("ECHO", "a")) for _ in range(3)]
    link.end(Disconnected("over"))
    assert all(str(call.exception()) == "over" for call in calls)
    assert (len(link), link.is_ended) == (0, True)
    assert "over" in repr(link)
