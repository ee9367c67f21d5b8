"""What one worker of a gateway learns, the others know within a second, over a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.processes import Processes
from tests.faults.conftest import worker_config
from tests.faults.figures import Figure, ms
from tests.faults.lines import Lines, until_status
from tests.faults.tokens import access, calling, ending, first_token, refreshing, successor
from tests.integration.servers import RunningGateway, start_gateway
from tests.redis_servers import RedisServer

LINES = 16  # of which all go to one worker once in 32,768 runs


@pytest.fixture
def gateway(valkey: RedisServer, upstream: str, tmp_path: Path) -> Iterator[RunningGateway]:
    directory = tmp_path / "gateway"
    directory.mkdir()
    config = worker_config(upstream, valkey.url, {})
    config["server"]["workers"] = 2
    with Processes() as children:
        yield start_gateway(config, directory=directory, children=children)


async def test_a_logout_reaches_every_worker(gateway: RunningGateway, figure: Figure) -> None:
    lags: list[float] = []
    async with Lines() as lines:
        all_lines = [await lines.to(gateway.address) for _ in range(LINES)]
        for number in range(20):
            first = all_lines[number % LINES]
            reply = await first.ask(refreshing(first_token(f"user-{number}")))
            token = access(reply)
            before = [await line.ask(calling(token)) for line in all_lines]
            assert {each.status for each in before} == {200}
            assert (await first.ask(ending(successor(reply)))).status == 200
            lags += [await until_status(line, calling(token), 401) for line in all_lines]
    figure(f"a logout to the refusal on {LINES} connections of 2 workers: {ms(max(lags))} at most")
    assert max(lags) < 1
    assert len(gateway.workers()) == 2


async def test_workers_share_the_metrics_of_the_life_cycle(gateway: RunningGateway) -> None:
    async with Lines() as lines:
        for number in range(20):
            line = await lines.to(gateway.address)
            await line.ask(refreshing(first_token(f"user-{number}")))
    assert gateway.metric("gateway_refresh_total") == 20
    assert gateway.metric("gateway_store_up") == 1
