"""Clients that go away while the store is asked: nobody gets what was meant for somebody else."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conftest import Figure
from tests.faults.chains import Chain
from tests.faults.conftest import Run
from tests.faults.lines import Line, Lines, Reply
from tests.faults.tokens import claims_of, first_token, refreshing
from tests.redis_servers import RedisServer
from tests.stores.recording import until

ABORTS, ABORTING, OTHERS = 2000, 25, 16
LATEST = 0.03  # seconds after the request was sent; an answer takes some 5 to 20 ms in this load
LINKS = 1  # a worker's connections, without the one that reads the log


@dataclass
class Tally:
    aborted: int = 0
    answered: int = 0
    wrong: list[Reply] = field(default_factory=list)

    def judge(self, reply: Reply, user: str) -> None:
        self.answered += 1
        if reply.status != 200 or whose(reply) != {user}:
            self.wrong.append(reply)


def whose(reply: Reply) -> set[str]:
    return {claims_of(token)["user_id"] for token in reply.json().values()}


async def test_a_client_that_goes_away_harms_nobody(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    addresses = [worker.address for worker in run_workers(valkey.url)]
    dice = random.Random(1)  # the same moments in every run
    tally, end = Tally(), asyncio.Event()
    users = [f"leaver-{n}" for n in range(ABORTS)]
    left = {user: refreshing(first_token(user)) for user in users}
    async with Lines() as lines:
        chains = [await Chain.open(lines, addresses, user=f"other-{n}") for n in range(OTHERS)]
        load = [asyncio.create_task(chain.run(end)) for chain in chains]
        work = iter(users)
        await asyncio.gather(
            *[leave(work, left, addresses[n % 2], tally, dice) for n in range(ABORTING)]
        )
        end.set()
        await asyncio.gather(*load)
        # Whoever comes back with the same token gets what is theirs.
        retries = [await lines.to(addresses[n % 2]) for n in range(ABORTING)]
        for first in range(0, ABORTS, ABORTING):
            group = users[first : first + ABORTING]
            pairs = zip(retries, group, strict=True)
            replies = await asyncio.gather(*[line.ask(left[user]) for line, user in pairs])
            for reply, user in zip(replies, group, strict=True):
                tally.judge(reply, user)
        await until(lambda: all_are_idle(valkey))
        held = len(connections(valkey))
    refreshed = sum(len(chain.successes) for chain in chains)
    wrong = len(tally.wrong) + sum(chain.forks + len(chain.refused) for chain in chains)
    figure(
        f"{tally.aborted} of {ABORTS} refreshes left unanswered while {OTHERS} others refreshed: "
        f"{tally.answered + refreshed} answers, {wrong} wrong; {held} connections at the store, "
        "all idle"
    )
    assert wrong == 0
    assert tally.answered >= ABORTS
    assert tally.aborted > ABORTS / 40  # the faster the gateway, the fewer
    assert sum(chain.unavailable + chain.broken for chain in chains) == 0
    assert held <= 2 * LINKS


async def leave(
    work: Iterator[str], left: dict[str, bytes], address: str, tally: Tally, dice: random.Random
) -> None:
    """Sends refreshes, each on a connection of its own that ends at some moment."""
    for user in work:
        line = await Line.open(address)
        answer = line.ask(left[user])
        done, _ = await asyncio.wait([answer], timeout=dice.uniform(0, LATEST))
        if done:
            tally.judge(answer.result(), user)
        else:
            tally.aborted += 1
        await line.close()


def connections(server: RedisServer) -> list[dict[str, str]]:
    """The gateways' connections, as the server lists them; those that read the log left out."""
    told = server.ask("CLIENT", "LIST", "TYPE", "normal")
    assert isinstance(told, bytes)
    listed = [
        dict(word.partition("=")[::2] for word in line.split())
        for line in told.decode().splitlines()
    ]
    return [one for one in listed if one["cmd"] not in ("client|list", "xread")]


def all_are_idle(server: RedisServer) -> bool:
    return all(int(one["qbuf"]) == 0 == int(one["oll"]) for one in connections(server))
