"""Queues, circuits and reloads together: who waits is served if possible, and nothing is left."""

import asyncio
import gc
import socket
import weakref
from collections import Counter

import pytest

from gateway.config import AdaptiveConcurrencyConfig, UpstreamConfig
from gateway.upstream.circuit import CircuitBreaker
from gateway.upstream.concurrency import ConcurrencyLimit
from gateway.upstream.pool import Upstream
from tests.ports import free_port
from tests.servers import Upstreamed, answering, scripted
from tests.upstream.servers import POST, ask, reason_of, running
from tests.upstream.test_balancing import chosen
from tests.upstream.test_balancing import upstream as balanced
from tests.upstream.test_several_servers import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SICK = b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n"


async def test_a_dead_server_takes_nobody_out_of_the_queue() -> None:
    async def slow(connection: Upstreamed) -> None:
        while True:
            await connection.head()
            await asyncio.sleep(0.005)
            await connection.send(OK)

    async with (
        scripted(slow) as app,
        running([app.port, free_port()], max_connections=1, timeouts={"queue": "10s"}) as upstream,
    ):
        reasons = Counter(await asyncio.gather(*(reason_of(upstream) for _ in range(60))))
    assert reasons == {"": 60}


async def test_a_burst_of_posts_is_not_lost_to_a_server_that_refuses() -> None:
    async with scripted(answering(OK)) as app, running([app.port, free_port()]) as upstream:
        reasons = Counter(await asyncio.gather(*(reason_of(upstream, POST) for _ in range(100))))
    assert reasons == {"": 100}


async def test_who_waits_when_a_circuit_opens_is_told_at_once() -> None:
    breaker = {"failures": 1, "window": "10s", "open_for": "60s"}
    async with (
        scripted(answering(SICK)) as app,
        running(
            [app.port], max_connections=1, circuit_breaker=breaker, timeouts={"queue": "30s"}
        ) as upstream,
    ):
        reasons = Counter(await asyncio.gather(*(reason_of(upstream) for _ in range(20))))
        assert reasons["no_healthy_upstream"] >= 18
        assert len(app.heads) <= 2


async def test_a_server_that_comes_back_serves_all_who_wait() -> None:
    hold = asyncio.Event()

    async def held(connection: Upstreamed) -> None:
        await connection.head()
        await hold.wait()
        await connection.send(OK)

    async with (
        scripted(held) as one,
        scripted(held) as two,
        running([one.port, two.port], max_connections=20, timeouts={"queue": "30s"}) as upstream,
    ):
        first, second = upstream.servers.present
        second.health.not_connected(asyncio.get_running_loop().time())
        asked = [asyncio.create_task(ask(upstream)) for _ in range(35)]
        await until(lambda: len(one.heads) == 20 and len(upstream.waiters) == 15)
        second.health.connected(asyncio.get_running_loop().time())
        await until(lambda: len(two.heads) == 15)
        hold.set()
        await asyncio.gather(*asked)
        assert (first.promised, second.promised, len(upstream.waiters)) == (0, 0, 0)


def test_circuits_that_close_one_after_the_other_share_again() -> None:
    breaker = {"failures": 1, "window": "10s", "open_for": "5s"}
    servers = [f"http://127.0.0.1:{8000 + n}" for n in range(2)]
    settings = {"servers": servers, "circuit_breaker": breaker, "load_balancing": "round_robin"}
    upstream = Upstream("u", UpstreamConfig.model_validate(settings))
    chosen(upstream, 2000)
    first, second = upstream.servers.present
    for server in (first, second):
        server.health.failed(0.0)
    assert upstream.servers.pick() is None
    first.health.tick(5.0)
    first.health.asked()
    first.health.answered(200, 5.1)
    second.health.tick(5.2)
    assert set(chosen(upstream, 4)) == {0, 1}


def test_a_lighter_server_gets_its_part_at_low_load() -> None:
    assert Counter(chosen(balanced("least_connections", 2, 1), 300)) == {0: 200, 1: 100}


def test_stragglers_do_not_keep_a_circuit_open() -> None:
    settings = UpstreamConfig.model_validate(
        {"servers": ["http://h"], "circuit_breaker": {"failures": 1, "open_for": "5s"}}
    ).circuit_breaker
    assert settings is not None
    breaker = CircuitBreaker(settings)
    for now in (0.0, 2.0, 4.0):
        breaker.failed(now)
    assert breaker.tick(5.0)
    breaker.asked()
    assert not breaker.allows
    assert [breaker.tick(now) for now in (5.1, 8.0, 10.1)] == [False, False, True]
    assert breaker.allows  # a try without an outcome is made again


def test_long_answers_lock_nobody_out() -> None:
    limit = ConcurrencyLimit(AdaptiveConcurrencyConfig.model_validate({}))
    now, refused = 1.0, 0
    for _ in range(600):  # 15 streams that never end, and somebody who asks ten times a second
        if limit.admits(15, is_urgent=True):
            limit.took(0.02)
        else:
            refused += 1
        now += 0.1
        limit.tick(now)
    assert refused <= 150
    assert limit.admits(15, is_urgent=True)


async def test_what_a_reload_replaces_is_let_go() -> None:
    settings = UpstreamConfig.model_validate({"servers": ["http://127.0.0.1:1"]})
    upstream = Upstream("u", settings)
    gone: list[weakref.ref[Upstream]] = []
    for _ in range(5):
        gone.append(weakref.ref(upstream))
        new = Upstream("u", settings, predecessor=upstream)
        await upstream.stop()
        upstream = new
    gc.collect()
    assert [one() for one in gone] == [None] * 5


async def test_of_both_families_a_name_is_taken_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(loop: object, host: str, port: int, **_: object) -> list[object]:
        return [
            (socket.AF_INET6, 1, 6, "", ("fd00::5", port, 0, 0)),
            (socket.AF_INET, 1, 6, "", ("10.0.0.5", port)),
        ]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo, raising=False)
    upstream = Upstream("u", UpstreamConfig.model_validate({"servers": ["http://app:80"]}))
    upstream.start()
    await until(lambda: upstream.servers.present[0].ip == "10.0.0.5")
    await upstream.stop()
