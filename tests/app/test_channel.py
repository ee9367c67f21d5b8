"""Calls between supervisor and worker: answered each by its own, and never awaited for ever."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.app.channel import Answer, Channel, ChannelClosed


async def nothing(verb: str, argument: Any) -> None:
    """Is not asked."""


@asynccontextmanager
async def channel_to(answer: Answer) -> AsyncIterator[tuple[Channel, Channel]]:
    """Our end, and the other one, which answers."""
    ours, theirs = socket.socketpair()
    near = await Channel.open(ours, answer=nothing)
    far = await Channel.open(theirs, answer=answer)
    try:
        yield near, far
    finally:
        await near.close()
        await far.close()


async def test_a_call_gets_its_own_answer_in_whatever_order_they_come() -> None:
    may_answer = asyncio.Event()

    async def answer(verb: str, argument: Any) -> Any:
        if verb == "slow":
            await may_answer.wait()
        return verb, argument

    async with channel_to(answer) as (near, _):
        slow = asyncio.create_task(near.call("slow", 1, patience=10))
        assert await near.call("quick", {"a": "b" * 200_000}, patience=10) == (
            "quick",
            {"a": "b" * 200_000},
        )
        may_answer.set()
        assert await slow == ("slow", 1)


async def test_who_does_not_answer_is_not_waited_for() -> None:
    asked = asyncio.Event()

    async def answer(verb: str, argument: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with channel_to(answer) as (near, _):
        with pytest.raises(TimeoutError):
            await near.call("hang", patience=0.01)
        await asked.wait()


async def test_the_death_of_the_other_end_ends_all_calls() -> None:
    asked = asyncio.Event()

    async def answer(verb: str, argument: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with channel_to(answer) as (near, far):
        waiting = asyncio.create_task(near.call("hang", patience=10))
        await asked.wait()
        await far.close()
        with pytest.raises(ChannelClosed):
            await waiting
        await near.closed()
        with pytest.raises(ChannelClosed):
            await near.call("more", patience=10)


async def test_a_defect_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(verb: str, argument: Any) -> None:
        raise RuntimeError("a defect")

    async with channel_to(answer) as (near, _):
        assert await near.call("prepare", patience=10) == "prepare failed: RuntimeError"
    assert "a defect" in caplog.text
