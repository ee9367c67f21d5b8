"""A slot on its way from one master of a cluster to another, step by step."""

import contextlib
from collections.abc import Iterator, Sequence
from zlib import crc32

from redis.crc import key_slot
from redis.exceptions import AskError

from gateway.stores.topology import BUCKETS
from tests.redis_servers import RedisServer


def slot_of(user: str) -> int:
    """The slot of the user's bucket."""
    return key_slot(b"{%d}" % (crc32(user.encode()) % BUCKETS))


class Move:
    """Between `begin` and `end` the slot's keys are where `carry` has brought them."""

    def __init__(self, servers: Sequence[RedisServer], slot: int, target: RedisServer) -> None:
        self.slot = slot
        self.source = owner(servers, slot)
        self.target = target
        # The target goes first: it makes the change known to all.
        self._told = [target, *(server for server in servers if server is not target)]
        self._ids = {server.port: _text(server.ask("CLUSTER", "MYID")) for server in servers}

    def begin(self) -> None:
        source, target = self._ids[self.source.port], self._ids[self.target.port]
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target)

    def carry(self, key: str) -> None:
        assert self.source.ask("EXISTS", key)
        self.source.ask("MIGRATE", "127.0.0.1", self.target.port, key, 0, 1000)

    def end(self) -> None:
        """Carries the rest, and gives the slot to the target."""
        keys = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 1000)
        assert isinstance(keys, list)
        for key in keys:
            with contextlib.suppress(AskError):  # it has expired by itself meanwhile
                self.carry(_text(key))
        for server in self._told:
            server.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[self.target.port])

    def at_once(self) -> None:
        """All of it as one, as Valkey can; under way when this returns."""
        slots = ("SLOTSRANGE", self.slot, self.slot)
        self.source.ask("CLUSTER", "MIGRATESLOTS", *slots, "NODE", self._ids[self.target.port])


@contextlib.contextmanager
def resharding(servers: Sequence[RedisServer], slot: int) -> Iterator[Move]:
    """A move to another master, not begun yet; afterwards the slot is back, and all is empty."""
    source = owner(servers, slot)
    target = next(server for server in servers if server is not source)
    try:
        yield Move(servers, slot, target)
    finally:
        for server in servers:
            server.ask("FLUSHALL")
            server.ask("CLUSTER", "SETSLOT", slot, "STABLE")
        if owner(servers, slot) is not source:
            back = Move(servers, slot, source)
            back.begin()
            back.end()


def owner(servers: Sequence[RedisServer], slot: int) -> RedisServer:
    """Who serves the slot."""
    told = servers[0].ask("CLUSTER", "SLOTS")
    assert isinstance(told, list)
    [port] = [port for first, last, (_, port, *_), *_ in told if first <= slot <= last]
    return next(server for server in servers if server.port == port)


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
