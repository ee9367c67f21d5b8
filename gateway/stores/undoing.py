"""What takes back calls whose answers were lost: nobody has heard what came of them.

Rules
- Whoever comes for a session waits for what is to be undone of it, so no retry is judged before.
- A call can be on its way until its deadline: until then the script says that it is too early.
- Done twice is done once: each call has a mark of its own, by which its undoing knows it.
"""

import asyncio
import logging
from functools import partial
from itertools import islice

from gateway.errors import StoreUnavailable
from gateway.stores.breaker import PROBE_PAUSE, Breaker
from gateway.stores.caller import Caller
from gateway.stores.deeds import Deed

_LOG = logging.getLogger("gateway.stores")

KEPT = 10_000
CHUNK = 200  # at once
PAUSE = 0.02  # seconds, where it is too early


class Undoing:
    """Undoes calls as soon as the store is up. `run` belongs to the lifespan."""

    def __init__(self, caller: Caller, breaker: Breaker) -> None:
        self._caller = caller
        self._breaker = breaker
        self._pending: dict[str, tuple[Deed, ...]] = {}  # by the session's key
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, place: str, deed: Deed) -> None:
        """`deed` undoes a call about the session at `place`; it answers `early` before it can."""
        if len(self._pending) >= KEPT and place not in self._pending:
            _LOG.error("too many calls are to be undone: one is not")
            return
        self._pending[place] = (*self._pending.get(place, ()), deed)
        self._filled.set()

    async def settle(self, place: str) -> None:
        """Returns when nothing is to be undone of this session; raises StoreUnavailable."""
        if place not in self._pending:
            return
        under_way = self._under_way.get(place)
        if under_way is None:
            under_way = self._under_way[place] = asyncio.create_task(self._undo(place))
            under_way.add_done_callback(partial(self._see_end, place))
        await asyncio.shield(under_way)

    def _see_end(self, place: str, task: asyncio.Task[None]) -> None:
        del self._under_way[place]
        if not task.cancelled():
            task.exception()  # those who waited for it may have left

    async def _undo(self, place: str) -> None:
        while pending := self._pending.get(place, ()):
            while await self._caller.run(pending[0]) == b"early":
                await asyncio.sleep(PAUSE)
            self._pending[place] = self._pending[place][1:]
        del self._pending[place]

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            await self._breaker.up()
            places = list(islice(self._pending, CHUNK))
            done = await asyncio.gather(*map(self.settle, places), return_exceptions=True)
            for failure in done:
                if failure is not None and not isinstance(failure, StoreUnavailable):
                    _LOG.error("a call can't be undone", exc_info=failure)
            if any(done):
                await asyncio.sleep(PROBE_PAUSE)
            if not self._pending:
                self._filled.clear()
