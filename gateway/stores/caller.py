"""How a script is run on the store: in time, on the right node, and once.

Rules
- A call ends within the timeout, with an answer or with StoreUnavailable.
- It runs in a task of its own: a caller that is cancelled leaves it to end by itself.
- It is not tried again, except where the server said that it did nothing (NOSCRIPT, MOVED, ASK).
"""

import asyncio
import logging
from typing import Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

from gateway.errors import StoreUnavailable
from gateway.stores.breaker import AWAY, Breaker
from gateway.stores.deeds import Deed
from gateway.stores.node import Node, converse
from gateway.stores.scripts import Command
from gateway.stores.topology import Finder, Topology

_LOG = logging.getLogger("gateway.stores")

_ASKING: Command = ("ASKING",)
_REPLICA_WAIT = 50  # milliseconds, for one of them
_AWAY_WORDS = ("READONLY", "CLUSTERDOWN", "LOADING", "MASTERDOWN")


class Caller:
    """Runs scripts on whatever the breaker holds."""

    def __init__(self, breaker: Breaker, finder: Finder, *, timeout: float) -> None:
        self._breaker = breaker
        self._finder = finder
        self._timeout = timeout
        self._replica_wait = min(_REPLICA_WAIT, int(timeout * 1000 / 3))
        self._calls: set[asyncio.Task[Any]] = set()

    async def run(self, deed: Deed) -> Any:
        """The script's answer. Raises StoreUnavailable."""
        return await self._shielded(deed)

    async def delete(self, key: str) -> None:
        await self._shielded(("DEL", key))

    async def get(self, key: str) -> bytes | None:
        answer: bytes | None = await self._shielded(("GET", key))
        return answer

    async def stop(self) -> None:
        """Returns when all calls have ended: they do so by themselves."""
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _shielded(self, what: Deed | Command) -> Any:
        topology = self._breaker.topology
        if topology is None:
            raise StoreUnavailable()
        call = asyncio.create_task(self._call(topology, what))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def _call(self, topology: Topology, what: Deed | Command) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._converse(topology, what)
        except ResponseError as error:
            if is_away(error):
                self._breaker.trip(topology, error)
            else:
                _LOG.error("the store refuses a command: %s", error)
            raise StoreUnavailable() from error
        except AWAY as error:
            self._breaker.trip(topology, error)
            raise StoreUnavailable() from error

    async def _converse(self, topology: Topology, what: Deed | Command) -> Any:
        key = what.keys[0] if isinstance(what, Deed) else str(what[1])
        node = topology.node_of(key)
        before: tuple[Command, ...] = ()
        for _ in range(3):  # an answer, or after NOSCRIPT and MOVED one more
            answer = await self._say(node, what, before)
            if not isinstance(answer, ResponseError):
                return answer
            if isinstance(answer, AskError):
                node, before = topology.redirected(answer, self._finder), (_ASKING,)
            elif isinstance(answer, MovedError):
                node, before = topology.redirected(answer, self._finder), ()
            else:
                break
        raise answer

    async def _say(self, node: Node, what: Deed | Command, before: tuple[Command, ...]) -> Any:
        if not isinstance(what, Deed):
            return (await node.exchange(*before, what))[-1]
        async with node.connection() as connection:
            command = what.script.by_digest(what.keys, what.arguments)
            answer = (await converse(connection, *before, command))[-1]
            if isinstance(answer, NoScriptError):
                command = what.script.by_text(what.keys, what.arguments)
                answer = (await converse(connection, *before, command))[-1]
            if isinstance(answer, ResponseError):
                return answer
            if node.replicas and what.must_last and what.must_last(answer):
                await converse(connection, ("WAIT", 1, self._replica_wait))
        return answer


def is_away(error: ResponseError) -> bool:
    """Whether a refusal says that the server takes no commands now, rather than not this one."""
    if isinstance(error, ReadOnlyError | ClusterDownError):
        return True
    # Older servers put their refusal into the script's error.
    return any(word in str(error) for word in _AWAY_WORDS)
