"""One token, refreshed by many at once through several workers: there is but one successor."""

import asyncio
import time

from tests.conftest import Figure
from tests.faults.conftest import Run
from tests.faults.lines import Lines
from tests.faults.tokens import access, calling, claims_of, first_token, refreshing, successor
from tests.redis_servers import RedisServer

RACERS, ROUNDS = 100, 1000


async def test_racers_through_two_workers_get_one_successor(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    workers = run_workers(valkey.url)
    forks = refused = 0
    token = first_token()
    session = claims_of(token)["jti"]
    async with Lines() as lines:
        racers = [await lines.to(workers[n % 2].address) for n in range(RACERS)]
        began = time.perf_counter()
        for _ in range(ROUNDS):
            request = refreshing(token)
            replies = await asyncio.gather(*[racer.ask(request) for racer in racers])
            refused += sum(reply.status != 200 for reply in replies)
            forks += len({reply.body for reply in replies}) - 1
            token = successor(replies[0])
        took = time.perf_counter() - began
        last = await racers[0].ask(refreshing(token))
        calls = [await racer.ask(calling(access(last))) for racer in racers[:2]]
    figure(
        f"{RACERS} racers x {ROUNDS} rounds through 2 workers: {forks} forks, "
        f"{refused} false revocations, {RACERS * ROUNDS / took:.0f} refreshes/s"
    )
    assert (forks, refused) == (0, 0)
    assert [call.status for call in calls] == [200, 200]
    assert claims_of(successor(last))["gen"] == ROUNDS + 1
    # The store has counted what the clients were told.
    kept = valkey.ask("KEYS", f"gw:{{0}}:s:students:*:{session}")
    assert isinstance(kept, list)
    assert valkey.ask("HGET", kept[0].decode(), "g") == b"%d" % (ROUNDS + 1)
