"""The workers of one gateway share what is in the store: a session that ends has ended in each."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.processes import Processes
from tests.conftest import Figure
from tests.faults.conftest import worker_config
from tests.faults.figures import ms, quantile
from tests.faults.lines import Lines, until_status
from tests.faults.tokens import (
    access,
    calling,
    ending,
    first_token,
    is_blacklisted,
    refreshing,
    successor,
)
from tests.integration.servers import RunningGateway, start_gateway
from tests.redis_servers import RedisServer

LINES = 24  # that all come to one of two workers: once in eight million
SESSIONS = 50


@pytest.fixture
def two_workers(upstream: str, valkey: RedisServer, tmp_path: Path) -> Iterator[RunningGateway]:
    config: dict[str, Any] = worker_config(
        upstream, valkey.url, {"issuer": {"refresh_grace": "0s"}}
    )
    config["server"]["workers"] = 2
    directory = tmp_path / "gateway"
    directory.mkdir()
    with Processes() as children:
        yield start_gateway(config, directory=directory, children=children)


async def test_a_logout_is_one_in_every_worker(two_workers: RunningGateway, figure: Figure) -> None:
    gateway = two_workers
    assert len(gateway.workers()) == 2
    lags: list[float] = []
    async with Lines() as lines:
        everywhere = [await lines.to(gateway.address) for _ in range(LINES)]
        for number in range(SESSIONS):
            line = everywhere[number % LINES]
            reply = await line.ask(refreshing(first_token(f"user-{number}")))
            call = calling(access(reply))
            before = await asyncio.gather(*(each.ask(call) for each in everywhere))
            assert {answer.status for answer in before} == {200}
            ended = await line.ask(ending(successor(reply)))
            assert ended.status == 200
            lags.append(
                max(await asyncio.gather(*(until_status(e, call, 401) for e in everywhere)))
            )
    figure(
        f"{SESSIONS} logouts, to the refusal on {LINES} connections to 2 workers of one gateway: "
        f"p50 {ms(quantile(lags, 0.5))}, longest {ms(max(lags))}"
    )
    assert max(lags) < 1


async def test_a_spent_token_ends_the_session_in_every_worker(
    two_workers: RunningGateway, figure: Figure
) -> None:
    gateway = two_workers
    async with Lines() as lines:
        everywhere = [await lines.to(gateway.address) for _ in range(LINES)]
        spent = successor(await everywhere[0].ask(refreshing(first_token())))
        reply = await everywhere[1].ask(refreshing(spent))
        call = calling(access(reply))
        before = await asyncio.gather(*(each.ask(call) for each in everywhere))
        assert {answer.status for answer in before} == {200}
        began = time.perf_counter()
        assert is_blacklisted(await everywhere[2].ask(refreshing(spent)))
        await asyncio.gather(*(until_status(each, call, 401) for each in everywhere))
        took = time.perf_counter() - began
        again = await everywhere[3].ask(refreshing(successor(reply)))
    figure(f"reuse of a spent token: its session has ended in both workers after {ms(took)}")
    assert took < 1
    assert is_blacklisted(again)
