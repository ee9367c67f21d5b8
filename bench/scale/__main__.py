"""`python -m bench.scale`: a million sessions in a real store, and many workers on its log.

What was measured is set against what a tenth of it foretold, and then counted on to ten million.
"""

import argparse
import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.scale.followers import Following, follow
from gateway.stores.redis import RedisStore
from gateway.stores.session import Policy, Presented, SessionKey
from tests.redis_servers import RedisServer, redis_server

ISSUER = "students"
ACCESS_LIFE = 300_000  # milliseconds, as the rest
POLICY = Policy(grace=10_000, record_life=86_400_000, access_life=ACCESS_LIFE)
FIRST = Presented(0, is_managed=True, issued_at=None, life=ACCESS_LIFE)
AT_ONCE = 500
TARGET = 10_000_000


@dataclass(frozen=True, slots=True)
class Filling:
    """So many sessions in the store."""

    sessions: int
    memory: int  # bytes that they take
    cpu: float  # seconds of the server for one session, from login to record
    rate: float  # a second, by one client

    @property
    def each(self) -> float:
        return self.memory / self.sessions


@contextlib.asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[RedisStore]:
    """A store that has found its server."""
    store = RedisStore.from_url(server.url, retention=ACCESS_LIFE, timeout=2)
    await store.start(Following.nobody())
    try:
        while not store.is_up:
            await asyncio.sleep(0.01)
        yield store
    finally:
        await store.stop()


async def fill(store: RedisStore, server: RedisServer, marks: Sequence[int]) -> list[Filling]:
    """Begins sessions as logins do, each of a user of its own; looks at each mark."""
    empty, used = server_memory(server), server_cpu(server)
    found, done, started = [], 0, time.monotonic()
    for mark in marks:
        while done < mark:
            some = range(done, min(done + AT_ONCE, mark))
            await asyncio.gather(*(begin(store, str(user)) for user in some))
            done = some.stop
        spent = time.monotonic() - started
        cpu = (server_cpu(server) - used) / done
        found.append(Filling(done, server_memory(server) - empty, cpu, done / spent))
    return found


async def begin(store: RedisStore, user: str) -> None:
    key = SessionKey(ISSUER, user, secrets.token_hex(16))
    await store.open_session(key, POLICY, presented=FIRST, access_life=ACCESS_LIFE)


def server_memory(server: RedisServer) -> int:
    told = asked(server, "memory")
    return int(told["used_memory"]) - int(told["mem_clients_normal"])


def server_cpu(server: RedisServer) -> float:
    told = asked(server, "cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def asked(server: RedisServer, section: str) -> dict[str, str]:
    answer = server.ask("INFO", section)
    assert isinstance(answer, dict)
    return answer


def report(fillings: Sequence[Filling], followings: Sequence[Following]) -> str:
    tenth, whole = fillings[0], fillings[-1]
    foretold = tenth.each * whole.sessions
    target = whole.each * TARGET
    lines = [
        "sessions     MiB  bytes each  CPU us each  begun/s",
        *(
            f"{f.sessions:9,} {f.memory / 2**20:6.1f} {f.each:11.0f} {f.cpu * 1e6:12.1f}"
            f" {f.rate:8,.0f}"
            for f in fillings
        ),
        f"foretold by {tenth.sessions:,}: {foretold / 2**20:.1f} MiB, "
        f"{100 * (foretold / whole.memory - 1):+.1f} % of what was measured",
        f"so {TARGET:,} sessions: {target / 2**30:.2f} GiB",
        "",
        "workers  idle bytes/s  idle CPU %  bytes/revocation  CPU us/revocation",
        *(
            f"{f.workers:7} {f.idle_bytes:13,.0f} {100 * f.idle_cpu:11.2f} {f.bytes_each:17,.0f}"
            f" {f.cpu_each * 1e6:18.1f}"
            for f in followings
        ),
        "(bytes and CPU of the server, for all workers together; a revocation with its command)",
    ]
    return "\n".join(lines)


async def measure(
    server: RedisServer, *, sessions: int, workers: Sequence[int], revocations: int
) -> str:
    async with connected(server) as store:
        fillings = await fill(store, server, [sessions // 10, sessions // 2, sessions])

        async def revoke(user: str) -> None:
            key = SessionKey(ISSUER, user, secrets.token_hex(16))
            await store.end_session(key, FIRST, POLICY)

        followings = [
            await follow(server, revoke, workers=number, revocations=revocations)
            for number in workers
        ]
    return report(fillings, followings)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 8, 32, 128])
    parser.add_argument("--revocations", type=int, default=2_000)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as directory,
        redis_server(Path(directory), options=("--maxmemory-policy", "noeviction")) as server,
    ):
        print(
            asyncio.run(
                measure(
                    server,
                    sessions=options.sessions,
                    workers=options.workers,
                    revocations=options.revocations,
                )
            )
        )


if __name__ == "__main__":
    main()
