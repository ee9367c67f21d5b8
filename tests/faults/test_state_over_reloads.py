"""What a reload must not lose: sessions, revocations and counts, in memory and on a real Redis."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.processes import Processes
from tests.faults.conftest import worker_config
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

Change = Callable[[dict[str, Any]], None]

LIMITED = {
    "path": "/limited/",
    "issuers": ["students"],
    "upstream": "api",
    "rate_limit": {"rate": "1/d", "burst": 3},
}


def other_upstream_timeouts(config: dict[str, Any]) -> None:
    config["upstreams"]["api"]["timeouts"] = {"read": "5s"}


def other_store_settings(config: dict[str, Any]) -> None:
    config["store"]["timeout"] = "300ms"


def other_lives(config: dict[str, Any]) -> None:
    config["issuers"]["students"]["access_token_lifetime"] = "2h"


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    server: RedisServer = request.getfixturevalue("valkey")
    return server.url


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], RunningGateway]]:
    with Processes() as children:
        yield lambda config: start_gateway(config, directory=tmp_path, children=children)


@pytest.mark.parametrize(
    "change",
    [other_upstream_timeouts, other_store_settings, other_lives],
    ids=lambda change: change.__name__,
)
async def test_sessions_revocations_and_counts_outlive_a_reload(
    upstream: str, store: str, change: Change, start: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    config = worker_config(upstream, store, {"routes": [LIMITED]})
    config["issuers"]["students"]["refresh_grace"] = "0s"
    gateway = start(config)
    async with Lines() as lines:
        line = await lines.to(gateway.address)
        ended = await line.ask(refreshing(first_token("leaver")))
        assert (await line.ask(ending(successor(ended)))).status == 200
        first = first_token("stayer")
        stays = await line.ask(refreshing(first))
        limited = calling(access(stays), "/limited/")
        assert [(await line.ask(limited)).status for _ in range(4)] == [200, 200, 200, 429]

        change(config)
        gateway.rewrite(config)
        code, said = gateway.reload()
        assert (code, said.splitlines()[0]) == (0, "reloaded")

        assert (await line.ask(calling(access(ended)))).status == 401
        assert is_blacklisted(await line.ask(refreshing(successor(ended))))
        assert (await line.ask(calling(access(stays)))).status == 200
        assert (await line.ask(limited)).status == 429
        goes_on = await line.ask(refreshing(successor(stays)))
        assert goes_on.status == 200
        assert is_blacklisted(await line.ask(refreshing(first)))  # spent before the reload
        assert (await line.ask(calling(access(goes_on)))).status == 401


async def test_a_reload_to_allow_and_back_in_an_outage_forgets_no_logout(
    upstream: str, valkey: RedisServer, start: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    config = worker_config(upstream, valkey.url, {"store": {"max_staleness": "2s"}})
    gateway = start(config)
    async with Lines() as lines:
        line = await lines.to(gateway.address)
        ended, stays = [await line.ask(refreshing(first_token(each))) for each in ("a", "b")]
        assert (await line.ask(ending(successor(ended)))).status == 200
        valkey.kill()
        await until_status(line, calling(access(stays)), 503)

        for word, status in (("allow", 200), ("deny", 503)):
            config["store"]["on_outage"] = word
            gateway.rewrite(config)
            assert gateway.reload()[0] == 0
            assert (await line.ask(calling(access(stays)))).status == status
            assert (await line.ask(calling(access(ended)))).status == 401
