"""What must last waits for a replica, and nothing else does."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.stores.base import Verdict
from gateway.stores.caller import Caller
from gateway.stores.redis import RedisStore
from tests.redis_servers import RedisServer, redis_server
from tests.stores.conftest import running
from tests.stores.recording import KEY, POLICY, STRICT, RecordingSink, token, until

WAIT = 0.05  # seconds, for a replica that does not answer
TIMEOUT = 0.5


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, RedisServer]]:
    """A master and its replica."""
    with redis_server(tmp_path) as master:
        master.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        options = ("--replicaof", f"127.0.0.1 {master.port}")
        with redis_server(tmp_path, options=options) as replica:
            replica.wait_for(is_synchronized)
            yield master, replica


def is_synchronized(client: "redis.Redis") -> bool:
    told: Any = client.execute_command("INFO", "replication")  # type: ignore[no-untyped-call]
    return bool(told["master_link_status"] == "up")


async def opened(store: RedisStore, name: str) -> None:
    await store.open_session(replace(KEY, id=name), POLICY, presented=token(), access_life=1)


async def took(store: RedisStore, name: str) -> float:
    """How long it takes to end a session."""
    began = time.perf_counter()
    await store.end_session(replace(KEY, id=name), token(), POLICY)
    return time.perf_counter() - began


async def test_a_frozen_replica_is_waited_for_a_moment(
    servers: tuple[RedisServer, RedisServer], sink: RecordingSink
) -> None:
    async with running(servers[0].url, sink, timeout=TIMEOUT) as store:
        for name in "abc":
            await opened(store, name)
        assert await took(store, "a") < WAIT
        servers[1].freeze()
        assert await took(store, "b") >= WAIT * 0.9
        key = replace(KEY, id="c")
        await store.rotate(key, token(), POLICY)
        began = time.perf_counter()
        assert (await store.rotate(key, token(), STRICT)).verdict is Verdict.REUSED
        assert time.perf_counter() - began >= WAIT * 0.9


async def test_who_waits_for_a_replica_delays_nobody(
    servers: tuple[RedisServer, RedisServer], sink: RecordingSink
) -> None:
    async with running(servers[0].url, sink, timeout=TIMEOUT) as store:
        await opened(store, "a")
        await opened(store, "other")
        servers[1].freeze()
        ending = asyncio.create_task(took(store, "a"))
        times = []
        generation = 0
        while not ending.done():
            began = time.perf_counter()
            await store.rotate(replace(KEY, id="other"), token(generation), POLICY)
            times.append(time.perf_counter() - began)
            generation += 1
        assert await ending >= WAIT * 0.9
        assert len(times) > 10
        assert sorted(times)[len(times) // 2] < WAIT / 10


async def test_those_who_wait_for_a_replica_wait_together(
    servers: tuple[RedisServer, RedisServer], sink: RecordingSink
) -> None:
    async with running(servers[0].url, sink, timeout=TIMEOUT) as store:
        names = [str(number) for number in range(100)]
        for name in names:
            await opened(store, name)
        servers[1].freeze()
        ends = []
        for name in names:
            ends.append(asyncio.create_task(took(store, name)))
            await asyncio.sleep(0.001)  # they come one after the other, not in one turn
        # One wait that was under way, and the next: not a hundred.
        assert max(await asyncio.gather(*ends)) < 3 * WAIT
        assert store.is_up


async def test_however_short_the_timeout_a_wait_has_an_end(
    servers: tuple[RedisServer, RedisServer], sink: RecordingSink
) -> None:
    async with running(servers[0].url, sink, timeout=TIMEOUT) as store:
        await opened(store, "a")
        await opened(store, "b")
        servers[1].freeze()
        hasty = Caller(store._breaker, store._finder, timeout=0.002)
        hasty._timeout = TIMEOUT  # what is not waited for need not be done in 2 ms
        for name in "ab":
            deed = store._deeds.end_again(replace(KEY, id=name), token(), POLICY)
            await hasty.run(deed)
        # The one who follows the log stays blocked, and nobody else.
        await until(lambda: blocked(servers[0]) <= 1, patience=2)


def blocked(server: RedisServer) -> int:
    told: Any = server.ask("INFO", "clients")
    return int(told["blocked_clients"])
