"""How sockets end, and what many of them cost: deaths on either side, a stop, a slow reader."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets import ConnectionClosedError
from websockets.asyncio.client import ClientConnection

from examples.processes import Processes
from tests.conftest import Figure
from tests.integration.live.servers import Live, start_live

IDLE = 1000  # sockets
MOST_PER_SOCKET = 16 * 1024  # bytes of the gateway's memory


@pytest.fixture
def run_live(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    with Processes() as children:

        def run(kind: str = "uvicorn", **server: Any) -> Live:
            return start_live(kind, directory=tmp_path, children=children, **server)

        yield run


async def until(probe: Callable[[], bool], seconds: float = 10) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(probe):
                await asyncio.sleep(0.05)
    return await asyncio.to_thread(probe)


def stands(probe: Callable[[], int]) -> bool:
    """Whether what the probe tells does not change for a moment."""
    return len({probe() for _ in range(100)}) == 1


async def test_a_thousand_idle_sockets_are_open_at_once_and_cost_little(
    run_live: Callable[..., Live], figure: Figure
) -> None:
    live = run_live()
    token = live.log_in()["access"]
    async with contextlib.AsyncExitStack() as stack:

        async def open_some(number: int) -> list[ClientConnection]:
            return [
                await stack.enter_async_context(
                    live.socket(token=token, ping_interval=None, compression=None)
                )
                for _ in range(number)
            ]

        sockets = await open_some(100)  # what is allocated once
        start = live.memory()
        sockets += await open_some(IDLE)
        used = (live.memory() - start) / IDLE
        assert live.open_sockets() == IDLE + 100
        for socket in sockets:
            await socket.send("here")
        assert {await socket.recv() for socket in sockets} == {"here"}
        figure(f"{IDLE} idle sockets: {used / 1024:.1f} KiB each")
        assert used < MOST_PER_SOCKET
        answer = live.post("/page/")  # beside them all goes on
        assert answer.status == 200
    assert await until(lambda: live.open_sockets() == 0)


async def test_a_slow_reader_holds_the_app_up_and_no_memory(
    run_live: Callable[..., Live], figure: Figure
) -> None:
    live = run_live()
    async with live.socket() as before:
        await before.send("x")
        await before.recv()
        start = live.memory()
        async with live.socket(max_queue=1, compression=None) as socket:
            await socket.send("pour")
            await socket.recv()
            # It reads no more. What is on its way fills the kernel's buffers, then nothing moves.
            socket.transport.pause_reading()
            assert await until(lambda: stands(live.poured))
            held = live.memory() - start
            figure(f"a slow reader: {held / 1024:.0f} KiB more")
            assert held < 1 << 20
            await before.send("others go on")
            assert await before.recv() == "others go on"
            socket.transport.abort()


async def test_an_app_that_is_killed_takes_its_sockets_along(run_live: Callable[..., Live]) -> None:
    live = run_live()
    async with live.socket() as socket:
        await socket.send("x")
        await socket.recv()
        live.app.wait_or_kill(grace=0)
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), 5)
        assert socket.close_code == 1006
    assert await until(lambda: live.open_sockets() == 0)


async def test_a_client_that_is_gone_is_told_to_the_app(run_live: Callable[..., Live]) -> None:
    live = run_live()
    async with live.socket("/ws/gone/") as socket:
        socket.transport.abort()
    assert await asyncio.to_thread(live.left, "/ws/gone/") in (1005, 1006)
    assert await until(lambda: live.open_sockets() == 0)


async def test_a_stop_closes_all_sockets_as_going_away_and_ends_at_once(
    run_live: Callable[..., Live],
) -> None:
    live = run_live(graceful_shutdown="10s")
    token = live.log_in()["access"]
    async with contextlib.AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(live.socket("/ws/stop/", token=token))
            for _ in range(50)
        ]
        began = time.monotonic()
        live.gateway.process.terminate()
        for socket in sockets:
            await asyncio.wait_for(socket.wait_closed(), 5)
        assert {socket.close_code for socket in sockets} == {1001}
        await asyncio.to_thread(live.gateway.process.finish)  # raises where it ends with a failure
        assert time.monotonic() - began < 5
    assert await asyncio.to_thread(live.left, "/ws/stop/") == 1001
