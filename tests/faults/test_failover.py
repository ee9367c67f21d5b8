"""The Redis master dies or freezes under load; Sentinels name another one, and nobody is harmed."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Figure
from tests.faults.chains import Chain, longest_gap
from tests.faults.conftest import Run
from tests.faults.lines import Lines
from tests.redis_servers import RedisServer, SentinelSet, sentinel_set
from tests.stores.recording import until

pytestmark = pytest.mark.alone  # it measures

CLIENTS = 40
DOWN_AFTER = 1000  # milliseconds, of the Sentinels


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelSet]:
    directory = tmp_path / "sentinels"
    directory.mkdir()
    with sentinel_set(directory) as servers:
        for sentinel in servers.sentinels:
            name = "gateway"
            sentinel.ask("SENTINEL", "SET", name, "down-after-milliseconds", DOWN_AFTER)
        yield servers


@pytest.mark.parametrize(
    ("what", "harm", "limit"),
    [("kill -9", RedisServer.kill, 3.0), ("SIGSTOP", RedisServer.freeze, 4.0)],
    ids=["killed", "frozen"],
)
async def test_a_lost_master_ends_no_session(
    sentinels: SentinelSet,
    run_workers: Run,
    figure: Figure,
    what: str,
    harm: Callable[[RedisServer], None],
    limit: float,
) -> None:
    addresses = [worker.address for worker in run_workers(sentinels.url)]
    master = sentinels.master
    end = asyncio.Event()
    async with Lines() as lines:
        chains = [await Chain.open(lines, addresses, user=str(n)) for n in range(CLIENTS)]
        load = [asyncio.create_task(chain.run(end)) for chain in chains]
        await until(lambda: min(len(chain.successes) for chain in chains) >= 10)
        before = [len(chain.successes) for chain in chains]
        harm(master)
        await until(lambda: all_got_on(chains, before), patience=15)
        if master.is_running:
            master.thaw()  # it still takes itself for the master
            seen = [len(chain.successes) for chain in chains]
            await until(lambda: all_got_on(chains, seen))
        end.set()
        await asyncio.gather(*load)
        last = [await chain.refresh() for chain in chains]

    outage = max(longest_gap(chains, worker) for worker in (0, 1))
    refused = sum(len(chain.refused) for chain in chains)
    forks = sum(chain.forks for chain in chains)
    figure(
        f"Sentinel, {what} of the master (down-after {DOWN_AFTER} ms), {CLIENTS} clients: writable "
        f"again on both workers after {outage:.2f} s, {refused} x 401, {forks} forks, "
        f"{sum(chain.unavailable for chain in chains)} x 503"
    )
    assert (refused, forks) == (0, 0)
    assert [reply.status for reply in last if reply] == [200] * CLIENTS
    assert outage < limit


def all_got_on(chains: list[Chain], before: list[int]) -> bool:
    """Whether every client has got on by more than what was under way."""
    pairs = zip(chains, before, strict=True)
    return all(len(chain.successes) > seen + 20 for chain, seen in pairs)
