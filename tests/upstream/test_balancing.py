"""Which server is asked: by load, in turn, or by chance; in proportion to the weights."""

import asyncio
from collections import Counter

import pytest

from gateway.config import UpstreamConfig
from gateway.upstream.balancing import took_turn
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.pool import Upstream, server_of
from gateway.upstream.server import Server
from tests.servers import Upstreamed, answering, scripted
from tests.upstream.servers import GET, ask, running

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def upstream(balancing: str, *weights: int) -> Upstream:
    servers = [{"url": f"http://127.0.0.1:{8000 + n}", "weight": w} for n, w in enumerate(weights)]
    return Upstream(
        "u", UpstreamConfig.model_validate({"servers": servers, "load_balancing": balancing})
    )


def chosen(upstream: Upstream, number: int) -> list[int]:
    """Which servers get this many requests, each of which is over before the next one."""
    picks: list[int] = []
    for _ in range(number):
        server = upstream.servers.pick()
        assert server is not None
        upstream.servers.chosen(server)
        picks.append(server.address.port - 8000)
    return picks


@pytest.mark.parametrize("balancing", ["least_connections", "round_robin"])
def test_equals_take_turns(balancing: str) -> None:
    assert Counter(chosen(upstream(balancing, 1, 1, 1), 30)) == {0: 10, 1: 10, 2: 10}


def test_round_robin_spreads_by_weight_and_not_in_a_row() -> None:
    picks = chosen(upstream("round_robin", 3, 1), 400)
    assert Counter(picks) == {0: 300, 1: 100}
    assert max(len(run) for run in "".join(map(str, picks)).split("1")) <= 4


def test_two_at_random_spread_over_all_servers() -> None:
    counted = Counter(chosen(upstream("random_two", 1, 1, 1, 1), 2000))
    assert set(counted) == {0, 1, 2, 3}
    assert min(counted.values()) > 300


@pytest.mark.parametrize("balancing", ["least_connections", "random_two"])
def test_the_busy_get_less(balancing: str) -> None:
    two = upstream(balancing, 1, 1)
    busy, free = two.servers.present
    busy.connecting = 5
    assert [two.servers.pick() for _ in range(20)] == [free] * 20


def test_least_connections_weigh() -> None:
    two = upstream("least_connections", 4, 1)
    large, small = two.servers.present
    for _ in range(10):
        server = two.servers.pick()
        assert server is not None
        server.connecting += 1
    assert (large.connecting, small.connecting) == (8, 2)


def test_the_full_are_passed_over() -> None:
    two = upstream("round_robin", 1, 1)
    full, other = two.servers.present
    full.connecting = 256
    assert [two.servers.pick() for _ in range(3)] == [other] * 3
    other.connecting = 256
    assert two.servers.pick() is None


def test_one_to_be_avoided_is_asked_where_there_is_no_other() -> None:
    two = upstream("round_robin", 1, 1)
    first, second = two.servers.present
    assert two.servers.pick([first]) is second
    second.connecting = 256
    assert two.servers.pick([first]) is first


def test_who_comes_back_has_nothing_to_catch_up() -> None:
    two = upstream("round_robin", 1, 1)
    first, second = two.servers.present
    second.health.not_connected(0.0)
    assert chosen(two, 100) == [0] * 100
    second.health.tick(1.0)
    second.share = 1.0
    assert Counter(chosen(two, 10)) == {0: 5, 1: 5}
    assert first.turn > 100


def test_a_turn_costs_less_for_who_has_a_larger_share() -> None:
    (server,) = upstream("round_robin", 4).servers.present
    took_turn(server)
    assert server.turn == 0.25


async def test_slow_requests_go_where_the_fewest_are() -> None:
    hold = asyncio.Event()

    async def slow(connection: Upstreamed) -> None:
        await connection.head()
        await hold.wait()
        await connection.send(OK)

    async with scripted(slow) as one, scripted(slow) as two, running([one.port, two.port]) as both:
        asked = [asyncio.create_task(ask(both)) for _ in range(20)]
        while len(one.heads) + len(two.heads) < 20:
            await asyncio.sleep(0.01)
        assert (len(one.heads), len(two.heads)) == (10, 10)
        hold.set()
        await asyncio.gather(*asked)


async def test_a_connection_knows_its_server() -> None:
    async with scripted(answering(OK)) as one, running([one.port]) as upstream:
        connection = await upstream.connect(GET)
        assert isinstance(connection, UpstreamConnection)
        assert isinstance(server_of(connection), Server)
