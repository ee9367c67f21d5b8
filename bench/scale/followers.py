"""Many workers that follow one log, each by the gateway's own tail over connections of its own.

They share this process, which is slower than as many would be: what counts here is what they cost
the server. How soon a worker knows of a revocation is measured by the tests of faults.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.stores.base import Revocation
from gateway.stores.redis import RedisStore
from tests.redis_servers import RedisServer

IDLE = 5.0  # seconds of quiet, of which traffic and CPU are taken
RETENTION = 300_000
_PATIENCE = 60.0


class Sink:
    """The view of one worker, as far as it counts here."""

    def __init__(self) -> None:
        self.told = 0
        self.is_whole = asyncio.Event()
        self.has_all = asyncio.Event()
        self.wanted = 0

    def apply(self, revocations: Sequence[Revocation], *, lag: float | None) -> None:
        if lag is not None:
            self.told += len(revocations)
            if self.told >= self.wanted:
                self.has_all.set()

    def confirm(self) -> None:
        self.is_whole.set()


@dataclass(frozen=True, slots=True)
class Following:
    """What so many workers cost the server: bytes that it sends, seconds of its CPU."""

    workers: int
    idle_bytes: float  # a second
    idle_cpu: float  # a second
    bytes_each: float  # for one revocation, to all of them
    cpu_each: float

    @staticmethod
    def nobody() -> Sink:
        """Who is told where nothing is counted."""
        return Sink()


async def follow(
    server: RedisServer,
    revoke: Callable[[str], Awaitable[None]],
    *,
    workers: int,
    revocations: int,
) -> Following:
    sinks = [Sink() for _ in range(workers)]
    async with AsyncExitStack() as stack:
        for sink in sinks:
            store = RedisStore.from_url(server.url, retention=RETENTION, timeout=2)
            await store.start(sink)
            stack.push_async_callback(store.stop)
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(sink.is_whole.wait() for sink in sinks))
        quiet = _state(server)
        await asyncio.sleep(IDLE)
        before = _state(server)
        idle_bytes, idle_cpu = ((b - a) / IDLE for a, b in zip(quiet, before, strict=True))
        for sink in sinks:
            sink.wanted = revocations
        started = time.monotonic()
        for number in range(revocations):
            await revoke(f"ended {number}")
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(sink.has_all.wait() for sink in sinks))
        spent = time.monotonic() - started
        sent, cpu = (b - a for a, b in zip(before, _state(server), strict=True))
    return Following(
        workers,
        idle_bytes,
        idle_cpu,
        (sent - idle_bytes * spent) / revocations,
        max(0.0, cpu - idle_cpu * spent) / revocations,
    )


def _state(server: RedisServer) -> tuple[float, float]:
    """Bytes sent, and seconds of CPU, since the server began."""
    stats, cpu = server.ask("INFO", "stats"), server.ask("INFO", "cpu")
    assert isinstance(stats, dict)
    assert isinstance(cpu, dict)
    used = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
    return float(stats["total_net_output_bytes"]), used
