"""A worker is killed under load: the other goes on, and what was acknowledged holds."""

import asyncio
import time
from itertools import pairwise

from tests.conftest import Figure
from tests.faults.chains import Chain
from tests.faults.conftest import Run
from tests.faults.figures import ms
from tests.faults.lines import Line, Lines, until_status
from tests.faults.tokens import (
    access,
    calling,
    ending,
    first_token,
    is_blacklisted,
    refreshing,
    successor,
)
from tests.integration.servers import RunningGateway
from tests.redis_servers import RedisServer
from tests.stores.recording import until

CLIENTS = 20
SESSIONS, ENOUGH = 2000, 100


class Logouts:
    """Ends sessions one after another through one worker; `acknowledged` were answered 200."""

    def __init__(self, line: Line, sessions: list[tuple[str, str]]) -> None:
        self._line = line
        self._sessions = sessions
        self.acknowledged: list[tuple[str, str]] = []

    async def run(self) -> None:
        for refresh, token in self._sessions:
            try:
                reply = await self._line.ask(ending(refresh))
            except ConnectionError:
                return
            assert reply.status == 200
            self.acknowledged.append((refresh, token))
        raise AssertionError("the worker outlived all logouts")


async def test_a_killed_worker_takes_nothing_with_it(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    killed, other = run_workers(valkey.url)
    end = asyncio.Event()
    async with Lines() as lines:
        logouts = Logouts(await lines.to(killed.address), await sessions(lines, other))
        # Half of the clients begin at each; those of the killed one go over to the other.
        both = [killed.address, other.address]
        chains = [await Chain.open(lines, both, user=str(n)) for n in range(CLIENTS // 2)]
        faithful = [
            await Chain.open(lines, [other.address], user=f"faithful-{n}")
            for n in range(CLIENTS // 2)
        ]
        load = [asyncio.create_task(chain.run(end)) for chain in chains + faithful]
        leaving = asyncio.create_task(logouts.run())
        await until(lambda: len(logouts.acknowledged) >= ENOUGH)
        killed.process.wait_or_kill(grace=0)
        await leaving
        line = await lines.to(other.address)
        lags = [await until_status(line, calling(t), 401) for _, t in logouts.acknowledged]
        began = time.perf_counter()
        (restarted,) = await asyncio.to_thread(run_workers, valkey.url, {})
        ready = time.perf_counter() - began
        end.set()
        await asyncio.gather(*load)
        anew = await lines.to(restarted.address)
        refused = [await anew.ask(calling(token)) for _, token in logouts.acknowledged]
        refused_refreshes = [await anew.ask(refreshing(r)) for r, _ in logouts.acknowledged]
        last = [await anew.ask(refreshing(chain.token)) for chain in chains + faithful]

    ended = len(logouts.acknowledged)
    standstill = max(after - before for before, after in pairwise(successes(faithful)))
    failed = [chain for chain in faithful if chain.broken or chain.unavailable or chain.refused]
    figure(
        f"kill -9 of a worker after {ended} acknowledged logouts: the other's clients waited "
        f"{ms(standstill)} at most, {len(failed)} failed; restarted in {ready:.2f} s, "
        f"{sum(reply.status == 401 for reply in refused)} of {ended} revocations in force"
    )
    assert max(lags) < 1
    assert {reply.status for reply in refused} == {401}
    assert all(map(is_blacklisted, refused_refreshes))
    assert {reply.status for reply in last} == {200}
    assert standstill < 1
    assert [chain.broken for chain in chains + faithful] == [1] * len(chains) + [0] * len(faithful)
    for chain in chains + faithful:
        assert (chain.refused, chain.forks, chain.unavailable) == ([], 0, 0)


async def sessions(lines: Lines, gateway: RunningGateway) -> list[tuple[str, str]]:
    """Sessions to be ended: the refresh token and the access token of each."""
    line = await lines.to(gateway.address)
    replies = [
        await line.ask(refreshing(first_token(f"leaver-{number}"))) for number in range(SESSIONS)
    ]
    return [(successor(reply), access(reply)) for reply in replies]


def successes(chains: list[Chain]) -> list[float]:
    return sorted(moment for chain in chains for moment, _ in chain.successes)
