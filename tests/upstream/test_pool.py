"""The pool's accounts are right whatever happens."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config import UpstreamConfig
from gateway.errors import UpstreamError
from gateway.upstream.exchange import Exchange
from gateway.upstream.limits import Limits
from gateway.upstream.pool import Upstream
from tests.servers import Upstreamed, answering, scripted


@dataclass(frozen=True)
class Ask:
    is_urgent: bool = True
    is_idempotent: bool = True


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = Ask()
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def pool(port: int, *, connections: int = 2, **timeouts: float) -> Upstream:
    return upstream_of(f"http://127.0.0.1:{port}", connections=connections, **timeouts)


def upstream_of(*servers: str, connections: int = 2, **timeouts: float) -> Upstream:
    given = {"connect": 0.3, **timeouts}
    settings = {
        "servers": servers,
        "max_connections": connections,
        "timeouts": {name: f"{1000 * time:.0f}ms" for name, time in given.items()},
    }
    return Upstream("u", UpstreamConfig.model_validate(settings))


async def ask(upstream: Upstream) -> bytes:
    connection = upstream.take(GET) or await upstream.connect(GET)
    exchange = Exchange(asyncio.get_running_loop(), is_sent=True)
    connection.begin(exchange, REQUEST, is_head=False, is_whole=True)
    while not exchange.ended:
        if exchange.failure:
            raise exchange.failure
        await exchange.news()
    return exchange.take()


async def settled(upstream: Upstream, count: int) -> None:
    async with asyncio.timeout(5):
        while upstream.open_connections != count:
            await asyncio.sleep(0.005)


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with scripted(answering(OK)) as server:
        upstream = pool(server.port)
        assert [await ask(upstream) for _ in range(5)] == [b"ok"] * 5
        assert len(server.connections) == 1
        address = f"http://127.0.0.1:{server.port}"
        state = f"<Server {address} idle=1 busy=0 connecting=0>"
        assert repr(upstream) == f"<Upstream u [{state}] waiting=0>"
        await upstream.stop()
        await settled(upstream, 0)


async def test_the_connection_used_last_is_used_next() -> None:
    async with scripted(answering(OK)) as server:
        upstream = pool(server.port)
        first, second = await upstream.connect(GET), await upstream.connect(GET)
        for connection in (first, second):
            exchange = Exchange(asyncio.get_running_loop(), is_sent=True)
            connection.begin(exchange, REQUEST, is_head=False, is_whole=True)
            while not exchange.ended:
                await exchange.news()
        assert upstream.take(GET) is second
        await upstream.stop()


async def test_an_upstream_that_hangs_up_at_once_leaves_no_trace() -> None:
    async def script(connection: Upstreamed) -> None:
        connection.reset()

    async with scripted(script) as server:
        upstream = pool(server.port)
        for _ in range(20):
            with pytest.raises(UpstreamError) as failed:
                await ask(upstream)
            assert failed.value.reason == "upstream_broken"
        await settled(upstream, 0)


async def test_a_taken_place_is_waited_for_and_given_on() -> None:
    async with scripted(answering(OK)) as server:
        upstream = pool(server.port, connections=1, queue=5)
        assert await asyncio.gather(*(ask(upstream) for _ in range(50))) == [b"ok"] * 50
        assert len(server.connections) == 1
        await upstream.stop()


async def test_whoever_stops_waiting_takes_no_place_with_him() -> None:
    async with scripted(answering(OK)) as server:
        upstream = pool(server.port, connections=1, queue=5)
        held = await upstream.connect(GET)
        tasks = [asyncio.create_task(ask(upstream)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[:9]:
            task.cancel()
        exchange = Exchange(asyncio.get_running_loop(), is_sent=True)
        held.begin(exchange, REQUEST, is_head=False, is_whole=True)
        while not exchange.ended:
            await exchange.news()
        tasks[8].cancel()
        assert await asyncio.wait_for(tasks[9], 5) == b"ok"
        await asyncio.gather(*tasks, return_exceptions=True)
        await upstream.stop()


@pytest.mark.parametrize("answer", [OK, OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")])
async def test_nobody_who_comes_later_is_served_earlier(answer: bytes) -> None:
    async with scripted(answering(answer)) as server:
        upstream = pool(server.port, connections=1, queue=5)
        served: list[int] = []

        async def asking(number: int) -> None:
            await ask(upstream)
            served.append(number)
            if number < 100:  # who has been served comes again at once
                await asking(number + 100)

        await asyncio.gather(*(asking(number) for number in range(10)))
        assert served == [*range(10), *range(100, 110)]
        assert upstream.open_connections <= 1
        await upstream.stop()


async def test_waiting_in_vain_is_a_503_and_dialling_in_vain_a_502(tmp_path: Path) -> None:
    async with scripted(answering(OK)) as server:
        upstream = pool(server.port, connections=1, queue=0.05)
        await upstream.connect(GET)
        with pytest.raises(UpstreamError) as saturated:
            await upstream.connect(GET)
        assert (saturated.value.status, saturated.value.retry_after) == (503, 1)
        await upstream.stop()
    upstream = upstream_of(f"unix:{tmp_path}/gone.sock")
    with pytest.raises(UpstreamError) as refused:
        await upstream.connect(GET)
    assert (refused.value.status, refused.value.reason) == (502, "upstream_refused")
    assert upstream.open_connections == 0
    assert upstream.authority == b"localhost"


async def test_dialling_for_too_long_is_a_504() -> None:
    upstream = pool(1, connect=0.05)

    async def never(loop: object) -> None:
        await asyncio.sleep(30)

    (server,) = upstream.servers
    server._open = never  # type: ignore[assignment, method-assign]
    with pytest.raises(UpstreamError) as late:
        await upstream.connect(GET)
    assert (late.value.status, late.value.reason) == (504, "upstream_timeout")
    assert upstream.open_connections == 0


class StoppedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still; only its clock and futures are used."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now

    def time(self) -> float:
        return self._now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()


async def test_the_sweeper_keeps_deadlines_by_the_loops_clock() -> None:
    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await asyncio.sleep(30)

    async with scripted(script) as server:
        upstream = pool(server.port, read=60)
        connection = await upstream.connect(GET)
        exchange = Exchange(StoppedLoop(1000.0), is_sent=True)
        noticed: list[bool] = []
        exchange.on_long_wait = lambda: noticed.append(True)
        connection.begin(exchange, REQUEST, is_head=False, is_whole=True)
        waiting = exchange.news()
        upstream.sweep(1000.4)
        assert noticed == []
        upstream.sweep(1001.0)
        upstream.sweep(1002.0)
        assert noticed == [True]
        upstream.sweep(1059.9)
        assert exchange.failure is None
        upstream.sweep(1060.1)
        assert isinstance(exchange.failure, UpstreamError)
        assert exchange.failure.reason == "upstream_timeout"
        await waiting
        exchange._loop.close()
        connection.abandon(exchange)
        await settled(upstream, 0)


async def test_abandoning_what_is_over_harms_nobody_else() -> None:
    async with scripted(answering(OK)) as server:
        upstream = pool(server.port)
        connection = await upstream.connect(GET)
        old = Exchange(asyncio.get_running_loop(), is_sent=True)
        connection.begin(old, REQUEST, is_head=False, is_whole=True)
        while not old.ended:
            await old.news()
        new = Exchange(asyncio.get_running_loop(), is_sent=True)
        again = upstream.take(GET)
        assert again is connection
        again.begin(new, REQUEST, is_head=False, is_whole=True)
        connection.abandon(old)
        while not new.ended:
            assert new.failure is None
            await new.news()
        assert new.take() == b"ok"
        await upstream.stop()


@pytest.mark.parametrize(
    ("limits", "tick"),
    [
        (Limits(), 0.05),
        (Limits(first_byte=0.1), 0.01),
        (Limits(read=600, first_byte=600, idle=600), 0.25),
    ],
)
def test_how_often_the_sweeper_looks(limits: Limits, tick: float) -> None:
    assert limits.tick == tick
