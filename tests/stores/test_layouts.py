"""A URL that does not fit the servers: said once, and never half served."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from gateway.errors import StoreUnavailable
from gateway.stores.redis import RedisStore
from tests.ports import free_port
from tests.redis_servers import Cluster, RedisServer, redis_server
from tests.stores.conftest import running
from tests.stores.recording import KEY, MINUTE, POLICY, RecordingSink, token, until
from tests.stores.resharding import Move


@contextlib.contextmanager
def node(directory: Path) -> Iterator[RedisServer]:
    """A node that serves no slot yet."""
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis_server(directory, options=options) as server:
        yield server


@contextlib.contextmanager
def lone_node(directory: Path) -> Iterator[RedisServer]:
    """A cluster of one node, which serves all slots."""
    with node(directory) as server:
        server.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        server.wait_for(lambda _: "cluster_state:ok" in text(server.ask("CLUSTER", "INFO")))
        yield server


def bus_of(server: RedisServer) -> int:
    return int(server.options[server.options.index("--cluster-port") + 1])


def text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)


async def test_one_node_of_several_is_refused_and_the_right_url_is_told(
    three_masters: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    for server in three_masters.servers:
        store = RedisStore.from_url(server.url, retention=MINUTE)
        await store.start(RecordingSink())
        await until(lambda: "the store is down" in caplog.text)
        for _ in range(30):  # some probes come by
            assert not store.is_up
            for user in ("ada", "bob", "cleo"):
                with pytest.raises(StoreUnavailable):
                    await store.end_user("main", user, POLICY)
            await asyncio.sleep(0.01)
        await store.stop()
        [line] = caplog.messages
        assert f"127.0.0.1:{server.port} is a node of a cluster" in line
        assert "redis+cluster://" in line
        caplog.clear()


async def test_a_cluster_of_one_node_is_like_a_server(tmp_path: Path, sink: RecordingSink) -> None:
    with lone_node(tmp_path) as server:
        async with running(server.url, sink) as store:
            await store.open_session(KEY, POLICY, presented=token(), access_life=1)
            await store.end_session(KEY, token(), POLICY)
            await until(lambda: sink.revocations)


async def test_a_cluster_that_has_grown_is_refused(
    tmp_path: Path, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    for place in "ab":
        (tmp_path / place).mkdir()
    with lone_node(tmp_path / "a") as first, node(tmp_path / "b") as second:
        second.ask("CLUSTER", "MEET", "127.0.0.1", first.port, bus_of(first))
        second.wait_for(lambda _: "cluster_state:ok" in text(second.ask("CLUSTER", "INFO")))
        async with running(first.url, sink) as store:
            move = Move([first, second], key_slot(b"{0}"), second)
            move.begin()
            move.end()
            await until(lambda: not store.is_up)
            with pytest.raises(StoreUnavailable):
                await store.end_user("main", "ada", POLICY)
            assert sum("is a node of a cluster" in line for line in caplog.messages) == 1
            await asyncio.sleep(0.5)  # some probes come by
            assert not store.is_up
    assert len([line for line in caplog.messages if "the store is down" in line]) == 1
