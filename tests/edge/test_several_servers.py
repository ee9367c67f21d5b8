"""Requests by either lane where an upstream has several servers, and some of them fail."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers import RunningGateway, Upstreamed, answering, gateway_running, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
BODY = b"%b / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"


@contextlib.asynccontextmanager
async def before(
    directory: Path, *ports: int, retries: int = 1, extra: str = ""
) -> AsyncIterator[RunningGateway]:
    servers = ", ".join(f"'http://127.0.0.1:{port}'" for port in ports)
    config = f"""
logging: {{access_log: false}}
upstreams:
  app: {{servers: [{servers}], load_balancing: round_robin, retries: {retries}{extra}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""
    async with gateway_running(config, directory) as gateway:
        yield gateway


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


async def hangs_up(connection: Upstreamed) -> None:
    """Takes a request, and ends the connection without a byte."""
    await connection.head()
    connection.reset()


async def breaks_off(connection: Upstreamed) -> None:
    await connection.head()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    connection.reset()


async def is_silent(connection: Upstreamed) -> None:
    await connection.head()
    await asyncio.sleep(30)


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PATCH"])
async def test_a_server_that_is_down_costs_nobody_an_answer(tmp_path: Path, method: bytes) -> None:
    async with scripted(answering(OK)) as app, before(tmp_path, 1, app.port) as gateway:
        answers = [await gateway.exchange(BODY % method) for _ in range(10)]
    assert {status_of(answer) for answer in answers} == {200}
    assert len(app.heads) == 10


@pytest.mark.parametrize(
    ("method", "statuses"), [(b"GET", {200}), (b"PUT", {200}), (b"POST", {200, 502})]
)
async def test_what_was_sent_is_sent_to_another_server_if_it_may_be(
    tmp_path: Path, method: bytes, statuses: set[int]
) -> None:
    async with (
        scripted(hangs_up) as bad,
        scripted(answering(OK)) as good,
        before(tmp_path, bad.port, good.port) as gateway,
    ):
        answers = [await gateway.exchange(BODY % method) for _ in range(10)]
    assert {status_of(answer) for answer in answers} == statuses
    sent_twice = 0 if 502 in statuses else len(bad.heads)
    assert len(bad.heads) + len(good.heads) == 10 + sent_twice


async def test_what_is_too_large_to_hold_is_sent_once(tmp_path: Path) -> None:
    large = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\nConnection: close\r\n\r\n"

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await connection.reader.readexactly(70_000)
        connection.reset()

    async with scripted(script) as app, before(tmp_path, app.port) as gateway:
        assert status_of(await gateway.exchange(large + b"x" * 70_000)) == 502
    assert len(app.heads) == 1


async def test_an_answer_that_has_begun_is_not_asked_for_again(tmp_path: Path) -> None:
    async with (
        scripted(breaks_off) as bad,
        scripted(answering(OK)) as good,
        before(tmp_path, bad.port, good.port) as gateway,
    ):
        counted = Counter([status_of(await gateway.exchange(GET)) for _ in range(4)])
    assert counted == {200: 2, 502: 2}


async def test_what_was_too_slow_is_not_asked_for_again(tmp_path: Path) -> None:
    extra = ", timeouts: {first_byte: 100ms}"
    async with (
        scripted(is_silent) as bad,
        scripted(answering(OK)) as good,
        before(tmp_path, bad.port, good.port, extra=extra) as gateway,
    ):
        counted = Counter([status_of(await gateway.exchange(GET)) for _ in range(4)])
        assert counted == {200: 2, 504: 2}
        assert len(good.heads) == 2


async def test_no_more_than_the_budget_is_spent_on_retries(tmp_path: Path) -> None:
    async with scripted(hangs_up) as app, before(tmp_path, app.port) as gateway:
        for _ in range(50):
            assert status_of(await gateway.exchange(GET)) == 502
        spent = gateway.gateway.upstreams["app"].budget.spent
    assert 10 <= spent <= 30  # 10 at the start, and a fifth of what was asked
    assert len(app.heads) == 50 + spent


async def test_retries_can_be_left_out(tmp_path: Path) -> None:
    async with scripted(hangs_up) as app, before(tmp_path, app.port, retries=0) as gateway:
        assert status_of(await gateway.exchange(GET)) == 502
    assert len(app.heads) == 1


async def test_a_whole_request_has_its_time(tmp_path: Path) -> None:
    async def drips(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await connection.send(b"x")
            await asyncio.sleep(0.01)

    extra = ", timeouts: {total: 200ms}"
    async with scripted(drips) as app, before(tmp_path, app.port, extra=extra) as gateway:
        answer = await gateway.exchange(GET)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert 1 <= len(answer.partition(b"\r\n\r\n")[2]) < 100


async def test_an_event_stream_may_take_as_long_as_it_likes(tmp_path: Path) -> None:
    async def streams(connection: Upstreamed) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(30):
            await connection.send(b"data: 1\n\n")
            await asyncio.sleep(0.01)

    extra = ", timeouts: {total: 100ms}"
    async with scripted(streams) as app, before(tmp_path, app.port, extra=extra) as gateway:
        answer = await gateway.exchange(GET)
    assert answer.count(b"data: 1\n\n") == 30


async def test_an_open_circuit_is_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    extra = ", circuit_breaker: {failures: 2, window: 10s, open_for: 30s}"
    sick = b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n"
    async with scripted(answering(sick)) as app, before(tmp_path, app.port, extra=extra) as gateway:
        for _ in range(2):
            assert (await gateway.exchange(GET)).startswith(b"HTTP/1.1 503 Sick\r\n")
        answer = await gateway.exchange(GET)
    assert status_of(answer) == 503
    assert b'"code":"no_healthy_upstream"' in answer
    assert b"\r\nretry-after: 30\r\n" in answer
    assert len(app.heads) == 2


async def test_the_servers_are_counted(tmp_path: Path) -> None:
    async with scripted(answering(OK)) as app, before(tmp_path, 1, app.port) as gateway:
        for _ in range(4):
            await gateway.exchange(GET)
        told = gateway.gateway.metrics.exposition().decode().splitlines()
    well = 'upstream="app"'
    assert f'gateway_upstream_up{{server="http://127.0.0.1:1",{well}}} 0.0' in told
    assert f'gateway_upstream_up{{server="http://127.0.0.1:{app.port}",{well}}} 1.0' in told
    assert f"gateway_upstream_duration_seconds_count{{{well}}} 4.0" in told
    assert f"gateway_upstream_retries_total{{{well}}} 1.0" in told
    assert any(line.startswith("gateway_upstream_connections{") for line in told)
