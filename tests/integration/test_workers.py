"""Several workers behind one port: killed, stopped, reloaded and hung, before a real upstream."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from examples.apps import connect
from gateway.edge.ports import listen_together
from tests.conftest import Figure
from tests.integration.exchange import ask, head, receive
from tests.integration.load import Load
from tests.integration.servers import RunningEcho, RunningGateway

Run = Callable[[dict[str, Any]], RunningGateway]

RESPAWN = 2.0  # seconds
CONNECTIONS = 400


def config(address: str, *, preserve_host: bool = True, **server: Any) -> dict[str, Any]:
    return {
        "server": {"workers": 2, **server},
        "logging": {"access_log": False},
        "upstreams": {"echo": {"servers": [address], "preserve_host": preserve_host}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def lives(pid: int) -> bool:
    """Whether there is such a process; a zombie is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def under_load(gateway: RunningGateway) -> AsyncIterator[Load]:
    async with Load(gateway.address).running(kept=16, anew=8) as load:
        await load.until_answered(500)
        yield load


def has_gone(gateway: RunningGateway, pid: int) -> bool | None:
    return pid not in gateway.workers() or None


async def until_ready(gateway: RunningGateway, *, without: int) -> float:
    """Seconds until all workers are ready, this one not among them."""
    began = time.perf_counter()
    async with asyncio.timeout(10):
        while without in gateway.workers() or len(gateway.workers()) < 2:
            await asyncio.sleep(0.01)
        while (await asyncio.to_thread(gateway.readiness)).status != 200:
            await asyncio.sleep(0.01)
    return time.perf_counter() - began


def test_connections_are_spread_evenly(echo: str, run_gateway: Run, figure: Figure) -> None:
    gateway = run_gateway(config(echo))
    workers = gateway.workers()
    before = [open_files(pid) for pid in workers]
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(connect(gateway.address))
        ask(gateway.address, "GET", "/")
        gateway.process.wait_for(
            lambda: sum(map(open_files, workers)) - sum(before) >= CONNECTIONS or None
        )
        shares = [open_files(pid) - held for pid, held in zip(workers, before, strict=True)]
    figure(f"{CONNECTIONS} connections to 2 workers: {shares[0]} and {shares[1]}")
    assert min(shares) >= 0.4 * CONNECTIONS


async def test_a_killed_worker_takes_with_it_what_it_had_begun_alone(
    echo: str, run_gateway: Run, figure: Figure
) -> None:
    gateway = run_gateway(config(echo))
    async with under_load(gateway) as load:
        counted = await asyncio.to_thread(gateway.metric, "gateway_requests_total")
        killed, other = gateway.workers()
        os.kill(killed, signal.SIGKILL)
        took = await until_ready(gateway, without=killed)
        after = await asyncio.to_thread(gateway.metric, "gateway_requests_total")
        await load.until_answered(1000)
    failed = len(load.lost) + load.raced
    figure(
        f"kill -9 of 1 of 2 workers under load: {failed} of {load.answered} requests failed, "
        f"ready again after {took:.2f} s, the longest answer took {load.longest:.2f} s"
    )
    assert took <= RESPAWN
    assert failed <= 24  # clients: none fails twice
    assert (load.refused, set(load.statuses)) == (0, {200})
    assert after >= counted >= 500
    assert other in gateway.workers()


def held_requests(
    number: int, gateway: RunningGateway, echo: RunningEcho, stack: ExitStack
) -> list[socket.socket]:
    """Connections with a request each that the app has, and does not answer yet."""
    held = [stack.enter_context(connect(gateway.address)) for _ in range(number)]
    for connection in held:
        connection.settimeout(30)
        connection.sendall(head("GET", "/hold/"))
    echo.wait_until_held(number)
    return held


def test_requests_of_the_other_workers_live_on(own_echo: RunningEcho, run_gateway: Run) -> None:
    gateway = run_gateway(config(own_echo.address))
    killed, other = gateway.workers()
    before = open_files(other)
    with ExitStack() as stack:
        held = held_requests(12, gateway, own_echo, stack)
        mine = (open_files(other) - before) / 2  # a request has a client's and an upstream's
        os.kill(killed, signal.SIGKILL)
        gateway.process.wait_for(lambda: killed not in gateway.workers() or None)
        own_echo.release()
        answered = 0
        for connection in held:
            with contextlib.suppress(ConnectionError):
                answered += connection.recv(1024).startswith(b"HTTP/1.1 200 ")
    assert answered == mine


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_under_load_loses_nothing(
    echo: str, run_gateway: Run, figure: Figure, workers: int
) -> None:
    gateway = run_gateway(config(echo, workers=workers))
    async with under_load(gateway) as load:
        began = time.perf_counter()
        gateway.process.terminate()
        await asyncio.to_thread(gateway.process.finish)  # raises unless the exit code is 0
        took = time.perf_counter() - began
    figure(
        f"SIGTERM with {workers} worker(s) under load: {load.answered} answered, "
        f"{len(load.lost)} lost, {load.raced} raced, ended after {took:.2f} s"
    )
    assert (load.lost, load.raced, set(load.statuses)) == ([], 0, {200})


def test_readiness_fails_first_and_what_is_in_flight_is_finished(
    own_echo: RunningEcho, run_gateway: Run
) -> None:
    gateway = run_gateway(config(own_echo.address))
    workers = gateway.workers()
    with ExitStack() as stack:
        held = held_requests(10, gateway, own_echo, stack)
        gateway.process.terminate()
        gateway.process.wait_for(lambda: gateway.readiness().status == 503 or None)
        assert any(map(lives, workers))
        own_echo.release()
        assert [receive(connection).status for connection in held] == [200] * 10
    gateway.process.finish()
    assert not any(map(lives, workers))


def test_what_outlives_the_grace_is_cut(own_echo: RunningEcho, run_gateway: Run) -> None:
    gateway = run_gateway(config(own_echo.address, graceful_shutdown="1s"))
    with connect(gateway.address) as dripping:
        dripping.sendall(head("GET", "/drip/"))
        own_echo.wait_until_held(1)
        began = time.monotonic()
        gateway.process.terminate()
        gateway.process.wait_for(lambda: gateway.process.has_ended or None, seconds=5)
        assert time.monotonic() - began < 3
        gateway.process.finish()


async def test_no_request_fails_over_reloads_of_two_workers(
    echo: str, run_gateway: Run, figure: Figure
) -> None:
    gateway = run_gateway(config(echo))
    async with under_load(gateway) as load:
        number = 0
        while load.answered < 10_000 or number < 5:
            number += 1
            gateway.rewrite(config(echo, preserve_host=number % 2 == 0))
            code, said = await asyncio.to_thread(gateway.reload)
            assert code == 0, said
            await load.until_answered(200)
    figure(f"{number} reloads of 2 workers: {load.answered} answered, all with 200")
    assert (load.lost, load.raced, load.refused) == ([], 0, 0)
    assert set(load.statuses) == {200}
    assert gateway.metric("gateway_requests_total") == load.answered


def test_a_reload_reaches_every_worker(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    gateway.rewrite(config(echo, preserve_host=False))
    assert gateway.reload() == (0, "reloaded\nupstreams.echo.preserve_host: true -> false\n")
    hosts = {ask(gateway.address, "GET", "/").json()["meta"]["HTTP_HOST"] for _ in range(20)}
    assert hosts == {echo.removeprefix("http://")}


def test_a_follower_begins_with_what_is_in_force_not_with_the_file(
    echo: str, run_gateway: Run
) -> None:
    gateway = run_gateway(config(echo))
    gateway.file.write_text("no: configuration\n")
    assert gateway.reload()[0] == 2
    for pid in gateway.workers():
        os.kill(pid, signal.SIGKILL)
        gateway.process.wait_for(partial(has_gone, gateway, pid))
    gateway.process.wait_for(lambda: gateway.readiness().status == 200 or None)
    assert ask(gateway.address, "GET", "/").status == 200


def test_workers_end_when_their_supervisor_is_killed(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    workers = gateway.workers()
    os.kill(gateway.process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(map(lives, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_hangs_holds_no_scrape_up(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    for _ in range(20):
        ask(gateway.address, "GET", "/")
    assert gateway.metric("gateway_requests_total") == 20
    with frozen(gateway.workers()[0]):
        began = time.monotonic()
        assert gateway.metric("gateway_requests_total") == 20
        assert time.monotonic() - began < 2
        readiness = gateway.readiness()
    assert (readiness.status, readiness.json()["why"]) == (
        503,
        "worker 1: no answer within 1 s",
    )


def test_a_taken_port_is_no_place_for_workers(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    port = int(gateway.address.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        listen_together("127.0.0.1", port, 2)
