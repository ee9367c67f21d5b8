"""What revocation costs a request: no command of the store, and no time, however many there are."""

import asyncio
import contextlib
import re
import time
from hashlib import sha1
from pathlib import Path

import pytest
import redis

from tests.conftest import Figure
from tests.faults.conftest import Run
from tests.faults.figures import ms, quantile
from tests.faults.lines import Line, Lines, timed
from tests.faults.tokens import access, calling, first_token, plain_access, refreshing
from tests.integration.servers import RunningGateway
from tests.redis_servers import RedisServer

pytestmark = pytest.mark.alone  # it measures

CALLS, TOKENS, CLIENTS = 10_000, 50, 20
# What the background says: the log is followed, the server probed, connections are made.
BACKGROUND = {"xread", "info", "set", "time", "xinfo|stream", "select", "client|setinfo"}
OURS = {"config|resetstat"}

REVOCATIONS = 1_000_000
BATCH = 10_000
COMPARED = 2000
# As `append` in gateway/stores/session.lua writes them; ids that a test can name.
FILL = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local id = string.sub(redis.sha1hex(n), 1, 32)
  local entry = table.concat({'s', 'students', ARGV[3], '0', '0', id}, '\\t')
  redis.call('XADD', KEYS[1], '*', 'r', entry)
end
"""


async def test_no_command_is_said_for_an_api_call(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    workers = run_workers(valkey.url)
    async with Lines() as lines:
        clients = [await lines.to(workers[n % 2].address) for n in range(CLIENTS)]
        replies = [await clients[0].ask(refreshing(first_token(str(n)))) for n in range(TOKENS)]
        requests = [calling(access(reply)) for reply in replies]
        valkey.ask("CONFIG", "RESETSTAT")
        began = time.perf_counter()
        statuses = await asyncio.gather(
            *[
                asked(client, [requests[(n + turn) % TOKENS] for turn in range(CALLS // CLIENTS)])
                for n, client in enumerate(clients)
            ]
        )
        took = time.perf_counter() - began
    said = commands(valkey)
    for_calls = {name: count for name, count in said.items() if name not in BACKGROUND}
    figure(
        f"{CALLS} API calls with {TOKENS} tokens in {took:.1f} s: {sum(for_calls.values())} "
        f"commands for them; with the background's {sum(said.values())}: "
        + ", ".join(f"{name} {count}" for name, count in sorted(said.items()))
    )
    assert [set(each) for each in statuses] == [{200}] * CLIENTS
    assert for_calls == {}
    # Two workers read the log every half second, and look at the server every second.
    assert sum(said.values()) < 2 * (2 * took + 3 * took + 10)


async def asked(client: Line, requests: list[bytes]) -> list[int]:
    return [(await client.ask(request)).status for request in requests]


def commands(server: RedisServer) -> dict[str, int]:
    """How often each command was said since the counters were reset, but for our own."""
    told = server.ask("INFO", "commandstats")
    assert isinstance(told, dict)
    counts = {
        name.removeprefix("cmdstat_"): int(numbers["calls"]) for name, numbers in told.items()
    }
    return {name: count for name, count in counts.items() if name not in OURS}


async def test_a_million_revocations_cost_memory_alone(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    (without,) = run_workers(valkey.url, {"store": {"key_prefix": "none"}})
    before = resident(without)
    fill(valkey, REVOCATIONS)
    began = time.perf_counter()
    (full,) = run_workers(valkey.url, {})
    ready = time.perf_counter() - began
    grown = resident(full) - before
    revoked = [plain_access(session=id_of(n)) for n in (1, REVOCATIONS // 2, REVOCATIONS)]
    good = calling(plain_access(session=id_of(REVOCATIONS + 1)))
    async with Lines() as lines:
        one, other = await lines.to(full.address), await lines.to(without.address)
        refusals = [(await one.ask(calling(token))).status for token in revoked]
        taken: dict[Line, list[float]] = {one: [], other: []}
        for turn in range(COMPARED):  # in turn, so that whatever else runs is the same for both
            for line in (one, other) if turn % 2 else (other, one):
                reply, took = await timed(line, good)
                assert reply.status == 200
                taken[line].append(took)
    many, none = (quantile(taken[line], 0.5) for line in (one, other))
    figure(
        f"{REVOCATIONS} revocations: ready {ready:.1f} s after the start (required: 10 s), memory "
        f"+ {grown / 2**20:.0f} MiB ({grown / REVOCATIONS:.0f} bytes each), "
        f"p50 of an API call {ms(many)}, without them {ms(none)}"
    )
    assert refusals == [401] * 3
    assert ready < 10
    assert many < none * 1.2 + 0.0002


def fill(server: RedisServer, count: int) -> None:
    """Writes so many revocations of sessions, which live for an hour, into the log."""
    until = int(time.time() + 3600) * 1000
    with contextlib.closing(redis.Redis(port=server.port, socket_timeout=30)) as client:
        for first in range(1, count + 1, BATCH):
            client.eval(FILL, 1, "gw:{0}:rev", first, first + BATCH - 1, until)


def id_of(number: int) -> str:
    return sha1(str(number).encode()).hexdigest()[:32]


def resident(gateway: RunningGateway) -> int:
    """VmRSS in bytes: the memory it has now."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s*(\d+) kB", status)
    assert found
    return int(found[1]) * 1024
