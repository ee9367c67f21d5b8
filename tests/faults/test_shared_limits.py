"""What is counted in the store is counted for all workers together."""

import asyncio

from tests.conftest import Figure
from tests.faults.conftest import Run
from tests.faults.lines import Lines
from tests.faults.tokens import calling, plain_access
from tests.redis_servers import RedisServer

BURST = 50
CALLS = 200


async def test_two_workers_admit_one_burst(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    limited = {
        "path": "/limited/",
        "issuers": ["students"],
        "upstream": "api",
        "rate_limit": {"rate": "1/m", "burst": BURST},
    }
    workers = run_workers(valkey.url, {"routes": [limited]}, {"routes": [limited]})
    request = calling(plain_access(), "/limited/")
    async with Lines() as lines:
        clients = [await lines.to(workers[n % 2].address) for n in range(CALLS)]
        replies = [await client.ask(request) for client in clients[:2]]
        replies += await asyncio.gather(*[client.ask(request) for client in clients[2:]])
        other_user = await clients[0].ask(calling(plain_access("2"), "/limited/"))
    statuses = [reply.status for reply in replies]
    figure(
        f"{CALLS} calls at once through 2 workers, burst {BURST}: {statuses.count(200)} admitted, "
        f"{statuses.count(429)} x 429"
    )
    assert (statuses.count(200), statuses.count(429)) == (BURST, CALLS - BURST)
    assert all(reply.header("retry-after") for reply in replies if reply.status == 429)
    assert statuses[:2] == [200, 200]  # both have admitted some
    assert other_user.status == 200
