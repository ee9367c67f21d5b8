"""How a script is run on the store: in time, on the right node, and once.

Rules
- A call ends within the timeout, with an answer or with StoreUnavailable.
- What was said is done, also for a caller who is cancelled: only the answer is dropped.
- It is not tried again, except where the server said that it did nothing (NOSCRIPT, MOVED, ASK,
  TRYAGAIN).
- A server that comes to it too late does nothing, where that would spend a token.
"""

import asyncio
import logging
import time
from contextlib import suppress
from math import floor
from typing import Any

from redis.exceptions import (
    AskError,
    MovedError,
    NoScriptError,
    ResponseError,
    TryAgainError,
)

from gateway.errors import StoreUnavailable
from gateway.stores.breaker import AWAY, Breaker
from gateway.stores.deeds import Deed
from gateway.stores.node import Node
from gateway.stores.refusals import Apart, Refused, is_away, only_reads
from gateway.stores.scripts import ASKING, Command
from gateway.stores.topology import Finder, Topology

_LOG = logging.getLogger("gateway.stores")

_TRIES = 4  # an answer, and one more for each of NOSCRIPT, MOVED and ASK
_APART_PAUSE = 0.015  # seconds
_REPLICA_WAIT = 50  # milliseconds, for one of them
_MARK_LIFE = 1000  # milliseconds
MOST_UNANSWERED = 4096  # calls to one server
TOLD_EVERY = 60.0  # seconds, of a refusal that each call may meet


class AnswerLost(StoreUnavailable):
    """Whether it was done is not known; at `deadline` (the server's ms) at the latest."""

    deadline = 0


class Caller:
    """Runs scripts on whatever the breaker holds."""

    def __init__(self, breaker: Breaker, finder: Finder, *, timeout: float) -> None:
        self._breaker = breaker
        self._finder = finder
        self._timeout = timeout
        self._replica_wait = max(1, min(_REPLICA_WAIT, int(timeout * 1000 / 3)))  # 0 is for ever
        self._told: dict[str, float] = {}

    async def run(self, deed: Deed) -> Any:
        """The script's answer. Raises StoreUnavailable.

        AnswerLost where it may have been done; Refused where the store is up, and others may pass.
        """
        return await self._call(deed)

    async def run_in_time(self, deed: Deed) -> Any:
        """As `run`; once the caller has given it up, nothing comes of it.

        The script's last word is until when, in milliseconds of the server's clock. AnswerLost
        tells it too.
        """
        for _ in range(2):
            node, asked = self._topology().node_of(deed.keys[0]), time.monotonic()
            deadline = floor((node.clock() + self._timeout) * 1000)
            try:
                answer = await self.run(deed._replace(arguments=(*deed.arguments, deadline)))
            except AnswerLost as error:
                error.deadline = deadline
                raise
            if answer[0] != b"late":
                return answer
            node.see_clock(answer[1:], asked=asked)  # that it was has not been seen in time
        raise StoreUnavailable()

    async def delete(self, key: str) -> None:
        await self._call(("DEL", key))

    async def get(self, key: str) -> bytes | None:
        answer: bytes | None = await self._call(("GET", key))
        return answer

    async def stop(self) -> None:
        """Returns when those whose calls failed, since the breaker has ended, have heard of it."""
        await asyncio.sleep(0)

    async def _call(self, what: Deed | Command) -> Any:
        topology = self._topology()
        try:
            async with asyncio.timeout(self._timeout):
                node, answer = await self._converse_whole(topology, what)
        except ResponseError as error:
            if is_away(error):
                self._breaker.trip(topology, error)
                raise StoreUnavailable() from error
            self._tell(error)
            raise (StoreUnavailable if only_reads(error) else Refused)() from error
        except AWAY as error:
            self._breaker.trip(topology, error)
            raise AnswerLost() from error
        if node.replicas and isinstance(what, Deed) and what.must_last and what.must_last(answer):
            with suppress(*AWAY):  # it was answered, whatever becomes of the replicas
                await node.settle(_mark(what), within=self._replica_wait)
        return answer

    def _topology(self) -> Topology:
        topology = self._breaker.topology
        if topology is None:
            raise StoreUnavailable()
        return topology

    def _tell(self, error: ResponseError) -> None:
        state = only_reads(error)
        now = asyncio.get_running_loop().time()
        self._told = {why: at for why, at in self._told.items() if now - at < TOLD_EVERY}
        why = state or str(error)
        if why not in self._told:
            self._told[why] = now
            told = "the store takes no writes now" if state else "the store refuses a command"
            _LOG.error("%s: %s", told, error)

    async def _converse_whole(self, topology: Topology, what: Deed | Command) -> tuple[Node, Any]:
        """Tries again while a cluster moves a slot, and has the keys on two servers."""
        clock = asyncio.get_running_loop().time
        last = clock() + self._timeout / 2  # the other half is for the answer
        while True:
            try:
                return await self._converse(topology, what)
            except TryAgainError as error:
                if clock() > last:
                    raise Apart() from error
                await asyncio.sleep(_APART_PAUSE)

    async def _converse(self, topology: Topology, what: Deed | Command) -> tuple[Node, Any]:
        if isinstance(what, Deed):
            key = what.keys[0]
            command = what.script.by_digest(what.keys, what.arguments)
        else:
            key, command = str(what[1]), what
        node = topology.node_of(key)
        before: tuple[Command, ...] = ()
        for _ in range(_TRIES):
            if node.unanswered >= MOST_UNANSWERED:
                raise StoreUnavailable()
            answer = (await node.say(*before, command))[-1]
            if not isinstance(answer, ResponseError):
                break
            if isinstance(answer, NoScriptError) and isinstance(what, Deed):
                command = what.script.by_text(what.keys, what.arguments)
            elif isinstance(answer, MovedError):
                node, before = topology.redirected(answer, self._finder), ()
            elif isinstance(answer, AskError):
                node, before = topology.redirected(answer, self._finder), (ASKING,)
            else:
                raise answer
        else:
            raise answer
        return node, answer


def _mark(deed: Deed) -> Command:
    """A write beside the log, in the slot of the deed, that means nothing."""
    return ("SET", f"{deed.keys[1]}:mark", "", "PX", _MARK_LIFE)
