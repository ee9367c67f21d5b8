"""What was ended stays ended, on every worker, and soon."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Figure
from tests.faults.conftest import Run
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
from tests.integration.exchange import ask
from tests.integration.servers import RunningGateway
from tests.redis_servers import RedisServer, cluster, redis_server
from tests.stores.recording import until

pytestmark = pytest.mark.alone  # it measures

LOGOUTS = 200


@pytest.fixture(params=["one server", "cluster"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of each kind of store."""
    directory = tmp_path / "store"
    directory.mkdir()
    if request.param == "cluster":
        with cluster(directory) as masters:
            yield masters.url
    else:
        with redis_server(directory) as server:
            yield server.url


async def test_reuse_after_the_grace_ends_the_session_everywhere(
    servers: str, run_workers: Run, figure: Figure
) -> None:
    short = {"issuer": {"refresh_grace": "300ms"}}
    workers = run_workers(servers, short, short)
    lags = []
    async with Lines() as lines:
        one, other = [await lines.to(worker.address) for worker in workers]
        for user in map(str, range(10)):
            first = await one.ask(refreshing(first_token(user)))
            parent = successor(first)
            second = await other.ask(refreshing(parent))
            replayed = await one.ask(refreshing(parent))
            assert replayed.body == second.body
            await past(time.monotonic() + 0.35)  # the grace runs on the store's own clock
            reused = await one.ask(refreshing(parent))
            assert is_blacklisted(reused)
            requests = [calling(access(reply)) for reply in (first, second)]
            for line in (other, one):
                lags += [await until_status(line, request, 401) for request in requests]
            newest = [await line.ask(refreshing(successor(second))) for line in (one, other)]
            assert all(map(is_blacklisted, newest))
    figure(
        f"reuse after the grace, 10 sessions: access tokens refused by every worker within "
        f"{ms(max(lags))} of the answer (required: 1 s), newest refresh tokens too"
    )
    assert max(lags) < 1


async def past(moment: float) -> None:
    await until(lambda: time.monotonic() > moment)


async def test_an_emptied_store_brings_no_session_back(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    workers = run_workers(valkey.url)
    async with Lines() as lines:
        line, other = [await lines.to(worker.address) for worker in workers]
        replies = [await line.ask(refreshing(first_token(str(n)))) for n in range(50)]
        ended = await line.ask(refreshing(first_token("ended")))
        assert (await line.ask(ending(successor(ended)))).status == 200
        await until_status(other, calling(access(ended)), 401)

        valkey.ask("FLUSHALL")
        refused = [
            await each.ask(refreshing(successor(reply)))
            for reply in replies
            for each in (line, other, line)
        ]
        again = [await each.ask(refreshing(successor(ended))) for each in (line, other)]
        calls = [await each.ask(calling(access(ended))) for each in (line, other)]
        kept = valkey.ask("KEYS", "*:s:*")
        assert isinstance(kept, list)
        adopted = [await line.ask(refreshing(first_token(str(n)))) for n in range(50)]
        onwards = [await other.ask(refreshing(successor(reply))) for reply in adopted]
    figure(
        f"FLUSHALL: {sum(map(is_blacklisted, refused))} of {len(refused)} refreshes of lost "
        f"sessions refused, {len(kept)} resurrected; {len(onwards)} tokens without sid adopted"
    )
    assert all(map(is_blacklisted, refused + again))
    assert kept == []
    assert [call.status for call in calls] == [401, 401]
    assert {reply.status for reply in onwards} == {200}


async def test_a_logout_is_in_force_on_the_other_worker_at_once(
    valkey: RedisServer, run_workers: Run, figure: Figure
) -> None:
    here, there = run_workers(valkey.url)
    lags = []
    async with Lines() as lines:
        one, other = await lines.to(here.address), await lines.to(there.address)
        count, _ = observed_lags(there)
        for number in range(LOGOUTS):
            reply = await one.ask(refreshing(first_token(str(number))))
            request = calling(access(reply))
            assert (await other.ask(request)).status == 200
            ended = one.ask(ending(successor(reply)))
            lags.append(await until_status(other, request, 401))
            assert (await ended).status == 200
        told, within = observed_lags(there)
    figure(
        f"{LOGOUTS} logouts through one worker, refused by the other: p50 / p99 "
        f"{ms(quantile(lags, 0.5))} / {ms(quantile(lags, 0.99))} from the sending of the logout "
        "(required: 50 ms)"
    )
    figure(f"gateway_revocation_lag_seconds: {told - count} counted, {within} within 50 ms")
    assert quantile(lags, 0.99) < 0.05
    assert told - count == LOGOUTS
    assert within >= LOGOUTS * 0.99


def observed_lags(gateway: RunningGateway) -> tuple[int, int]:
    """What the gateway's own metric has counted: all, and those of 50 ms at most."""
    lines = ask(gateway.admin, "GET", "/metrics").body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    name = "gateway_revocation_lag_seconds"
    return (
        int(float(values[f"{name}_count"])),
        int(float(values[f'{name}_bucket{{le="0.05"}}'])),
    )
