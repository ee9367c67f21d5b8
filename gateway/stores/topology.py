"""Which server holds which key, and how that is found out: alone, by Sentinels, in a cluster.

`locate` returns only servers that take writes; each look is a new one, with fresh connections.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected

from gateway.stores.address import Host, Layout, StoreAddress
from gateway.stores.link import converse, taken
from gateway.stores.node import PING, Node
from gateway.stores.refusals import only_reads
from gateway.stores.scripts import Command

BUCKETS = 16  # of a cluster's keys
_SLOTS = 16384
_MOST_PROBES = 16  # asked in one look, where slots have gone elsewhere
_PROBE_LIFE = 1000  # milliseconds


class NodeOfCluster(RedisError):
    """One server was named where several share the keys: it would answer for its part alone."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is a node of a cluster with several masters: the store's URL must begin with "
            "redis+cluster:// (rediss+cluster:// for TLS)"
        )


class Topology:
    """The servers of the store, as they were found."""

    def __init__(self, nodes: Sequence[Node], *, slots: Sequence[Node] = ()) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._slots = list(slots)  # none where one server holds everything

    def __repr__(self) -> str:
        return f"<Topology {' '.join(map(repr, self.nodes))}>"

    @property
    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def node_of(self, key: str) -> Node:
        if not self._slots:
            return self.nodes[0]
        return self._slots[key_slot(key.encode())]

    def redirected(self, error: AskError, finder: "Finder") -> Node:
        """The node that a cluster points to: for good (MovedError), or for one command.

        Raises NodeOfCluster where one server was thought to hold everything.
        """
        if isinstance(error, MovedError) and not self._slots:
            raise NodeOfCluster(self.nodes[0].name)
        node = self._nodes.get(f"{error.host}:{error.port}")
        if node is None:
            node = self._nodes[f"{error.host}:{error.port}"] = finder.node((error.host, error.port))
        if isinstance(error, MovedError):
            self._slots[error.slot_id] = node
        return node

    def give_up(self) -> None:
        for node in self.nodes:
            node.give_up()

    async def close(self) -> None:
        for node in self.nodes:
            await node.close()


class Finder(Protocol):
    """Finds the servers of one store."""

    buckets: int

    async def locate(self) -> Topology:
        """Raises RedisError, OSError or TimeoutError while there is none that takes writes."""
        ...

    def node(self, host: Host) -> Node: ...


def finder_of(address: StoreAddress, *, key_prefix: str, timeout: float) -> Finder:
    if address.layout is Layout.SENTINEL:
        return _Sentinels(address, key_prefix=key_prefix, timeout=timeout)
    if address.layout is Layout.CLUSTER:
        return _Cluster(address, key_prefix=key_prefix, timeout=timeout)
    return _Single(address, key_prefix=key_prefix, timeout=timeout)


async def check(node: Node, *, timeout: float) -> None:
    """Raises where the server is away, or takes no writes; reads its clock, counts its replicas."""
    async with asyncio.timeout(timeout):
        for _ in range(_MOST_PROBES):
            asked = time.monotonic()
            # INFO is answered by a server that loads its data or was cut off, a write is not.
            replication, written, clock = await node.say(
                ("INFO", "replication"), node.probe, ("TIME",)
            )
            told = info(taken([replication])[0])
            if told.get("role") != "master":
                raise ReadOnlyError(f"{node.name} is a replica")
            if not isinstance(written, AskError):
                break
            node.probe = next(node.probes, PING)  # that slot is elsewhere now, or soon
    if (
        isinstance(written, ResponseError)
        and not isinstance(written, AskError)
        and not only_reads(written)
    ):
        raise written
    node.see_clock(taken([clock])[0], asked=asked)
    node.replicas = int(told.get("connected_slaves", "0"))


def info(answer: bytes) -> dict[str, str]:
    """The fields of an answer to INFO."""
    lines = (line.partition(":") for line in answer.decode().splitlines())
    return {name: value for name, separator, value in lines if separator}


class _Single:
    buckets = 1

    def __init__(self, address: StoreAddress, *, key_prefix: str, timeout: float) -> None:
        self._address = address
        self._key_prefix = key_prefix
        self._timeout = timeout

    async def locate(self) -> Topology:
        host = self._address.hosts[0] if self._address.hosts else None
        node = self.node(host)
        if await self._masters(host) > 1:
            raise NodeOfCluster(node.name)
        return await self._checked(node)

    def node(self, host: Host | None) -> Node:
        return Node(
            f"{host[0]}:{host[1]}" if host else self._address.path,
            open_connection=lambda: self._connection(host),
        )

    async def _checked(self, *nodes: Node, slots: Sequence[Node] = ()) -> Topology:
        topology = Topology(nodes, slots=slots)
        try:
            for node in nodes:
                node.probes = self._probes(topology, node)
                node.probe = next(node.probes, PING)
                await check(node, timeout=self._timeout)
        except BaseException:
            await topology.close()
            raise
        return topology

    def _probes(self, topology: Topology, node: Node) -> Iterator[Command]:
        """Writes that mean nothing, of our own keys, in slots that this node serves."""
        for tag in range(_SLOTS):  # a few, for each master that there is
            key = f"{self._key_prefix}:{{{tag}}}:probe"
            if topology.node_of(key) is node:
                yield ("SET", key, "", "PX", _PROBE_LIFE)

    async def _masters(self, host: Host | None) -> int:
        """How many share the keys with this server, itself counted."""
        try:
            told = info(await self._ask(self._connection(host), "CLUSTER", "INFO"))
        except ResponseError:  # not a cluster's node, or none that tells us
            return 1
        return int(told.get("cluster_size", "1"))

    def _connection(self, host: Host | None) -> AbstractConnection:
        return self._address.connection(host, timeout=self._timeout)

    async def _ask(self, connection: AbstractConnection, *command: str) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
                return taken(await converse(connection, command))[0]
        finally:
            await connection.disconnect(nowait=True)


class _Sentinels(_Single):
    async def locate(self) -> Topology:
        answers = await asyncio.gather(
            *(self._master_by(host) for host in self._address.hosts), return_exceptions=True
        )
        named = Counter(answer for answer in answers if isinstance(answer, tuple))
        if not named:
            raise Disconnected(f"no Sentinel names a master {self._address.master}")
        failure: Exception | None = None
        for master, _ in named.most_common():  # one that was cut off may still name the old one
            try:
                return await self._checked(self.node(master))
            except (RedisError, OSError, TimeoutError) as error:
                failure = error
        raise failure or Disconnected("no master")

    async def _master_by(self, host: Host) -> Host | None:
        sentinel = self._address.sentinel_connection(host, timeout=self._timeout)
        name = self._address.master
        answer = await self._ask(sentinel, "SENTINEL", "get-master-addr-by-name", name)
        return (answer[0].decode(), int(answer[1])) if answer else None


class _Cluster(_Single):
    buckets = BUCKETS

    def __init__(self, address: StoreAddress, *, key_prefix: str, timeout: float) -> None:
        super().__init__(address, key_prefix=key_prefix, timeout=timeout)
        self._known: tuple[Host, ...] = address.hosts

    async def locate(self) -> Topology:
        asked = dict.fromkeys([*self._known, *self._address.hosts])
        answers = await asyncio.gather(
            *(self._slots_by(host) for host in asked), return_exceptions=True
        )
        ranges = next((answer for answer in answers if isinstance(answer, list)), None)
        if ranges is None:
            raise Disconnected("no node of the cluster tells who serves all slots")
        nodes = {host: self.node(host) for _, _, host in ranges}
        slots = [
            node for first, last, host in ranges for node in [nodes[host]] * (last - first + 1)
        ]
        self._known = tuple(nodes)
        return await self._checked(*nodes.values(), slots=slots)

    async def _slots_by(self, host: Host) -> list[tuple[int, int, Host]]:
        state = info(await self._ask(self._connection(host), "CLUSTER", "INFO"))
        if state.get("cluster_state") != "ok":
            raise ClusterDownError("the cluster is not whole")
        slots = await self._ask(self._connection(host), "CLUSTER", "SLOTS")
        ranges = sorted(
            # A node that does not know its own name leaves it empty.
            (first, last, ((master[0] or b"").decode() or host[0], int(master[1])))
            for first, last, master, *_ in slots
        )
        if sum(last - first + 1 for first, last, _ in ranges) != _SLOTS:
            raise ClusterDownError("some slots are served by none")
        return ranges
