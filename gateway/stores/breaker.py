"""Whether the store is up, and its way back.

The first failure closes everything to callers; from then on only a prober asks, until it finds
servers that take writes. No caller's request is ever a probe.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from gateway.stores.node import Node
from gateway.stores.scripts import ALL
from gateway.stores.topology import Finder, Topology, check, info

_LOG = logging.getLogger("gateway.stores")

PROBE_PAUSE = 0.1
WATCH_INTERVAL = 1.0

AWAY = (RedisError, OSError, TimeoutError)  # what a server that can't be asked raises
_LEAST_POLICY = "noeviction"


class Breaker:
    """Holds the topology while the store is up. `run` probes and watches until cancelled."""

    def __init__(self, finder: Finder, *, timeout: float) -> None:
        self.topology: Topology | None = None
        self._clock: Callable[[], float] = time.time
        self._finder = finder
        self._timeout = timeout
        self._tripped = asyncio.Event()
        self._located = asyncio.Event()
        self._last_failure = ""
        self._warned: set[str] = set()

    def clock(self) -> float:
        """The store's clock in epoch seconds; while it is away, by what was seen of it last."""
        return self._clock()

    async def up(self) -> Topology:
        """The topology, as soon as there is one."""
        while (topology := self.topology) is None:
            await self._located.wait()
        return topology

    def trip(self, topology: Topology, error: BaseException) -> None:
        """Gives the topology up, unless that has been done already."""
        if topology is not self.topology:
            return
        topology.give_up()  # who waits for an answer must not wait any longer
        self.topology = None
        self._located.clear()
        self._tripped.set()
        self._log_failure(error)

    async def run(self) -> None:
        while True:
            try:
                await self._hold(await self._finder.locate())
            except AWAY as error:
                self._log_failure(error)
                await asyncio.sleep(PROBE_PAUSE)
            except Exception:  # noqa: BLE001 - a background loop goes on
                _LOG.exception("the store can't be watched")
                await asyncio.sleep(WATCH_INTERVAL)

    async def _hold(self, topology: Topology) -> None:
        """Returns, and has closed it, when the topology has been given up."""
        try:
            await self._teach(topology)
            await self._warn_of_eviction(topology)
            self._tripped.clear()
            self.topology, self._clock = topology, topology.nodes[0].clock
            self._located.set()
            self._last_failure = ""
            _LOG.info("the store is up: %r", topology)
            await self._watch(topology)
        finally:
            self.topology = None
            self._located.clear()
            await topology.close()

    async def _watch(self, topology: Topology) -> None:
        """Returns when the topology has been given up."""
        while topology is self.topology:
            try:
                async with asyncio.timeout(WATCH_INTERVAL):
                    await self._tripped.wait()
            except TimeoutError:
                try:
                    for node in topology.nodes:
                        await check(node, timeout=self._timeout)
                except AWAY as error:
                    self.trip(topology, error)

    async def _teach(self, topology: Topology) -> None:
        """Tells each server the scripts: else every call under way would, all at once."""
        for node in topology.nodes:
            with suppress(*AWAY):  # a refusal too: calls tell the script then
                async with asyncio.timeout(self._timeout):
                    await node.say(*(("SCRIPT", "LOAD", script.text) for script in ALL))

    async def _warn_of_eviction(self, topology: Topology) -> None:
        for node in topology.nodes:
            policy = await self._eviction(node) if node.name not in self._warned else ""
            if policy not in ("", _LEAST_POLICY):
                self._warned.add(node.name)
                _LOG.warning(
                    "%s has maxmemory-policy %s: eviction would bring revoked tokens back to "
                    "life; set it to noeviction",
                    node.name,
                    policy,
                )

    async def _eviction(self, node: Node) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                answer = (await node.say(("INFO", "memory")))[0]
        except AWAY:
            return ""
        if isinstance(answer, ResponseError):  # no permission, or no such section
            return ""
        return info(answer).get("maxmemory_policy", "")

    def _log_failure(self, error: BaseException) -> None:
        failure = f"{type(error).__name__}: {error}"
        if isinstance(error, AuthenticationError):
            failure = "it refuses our credentials"
        if failure != self._last_failure:  # a long outage is told once
            self._last_failure = failure
            _LOG.warning("the store is down: %s", failure)
