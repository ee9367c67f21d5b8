"""Revocations on their way to the store, and those of the last minute, to be told once more.

What was acknowledged can be lost in a failover, so this process tells it anew when it sees one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from gateway.errors import StoreUnavailable
from gateway.stores.breaker import PROBE_PAUSE, Breaker
from gateway.stores.caller import Caller
from gateway.stores.deeds import Deed
from gateway.stores.refusals import Refused

_LOG = logging.getLogger("gateway.stores")

KEPT = 10_000
REFUSED_FOR = 60.0  # seconds, after which a deed is given up
REMEMBERED_FOR = 60.0  # seconds


class Outbox:
    """Writes deeds in their order as soon as the store is up. `run` belongs to the lifespan.

    One that the store refuses, though it is up, lets the others pass.
    """

    def __init__(self, caller: Caller, breaker: Breaker, *, monotonic: Callable[[], float]) -> None:
        self._caller = caller
        self._breaker = breaker
        self._monotonic = monotonic
        self._waiting: deque[Deed] = deque()
        self._done: deque[tuple[float, Deed]] = deque(maxlen=KEPT)
        self._refusals: dict[Deed, float] = {}  # of those that wait: since when
        self._filled = asyncio.Event()
        self._is_writing = False

    def __len__(self) -> int:
        """How many wait, the one that is being written included."""
        return len(self._waiting) + self._is_writing

    def put(self, deed: Deed) -> None:
        if len(self._waiting) >= KEPT:
            _LOG.error("too many revocations wait for the store: one is lost")
            return
        self._waiting.append(deed)
        self._filled.set()

    def remember(self, deed: Deed) -> None:
        """Keeps a deed that is done, to do it again after a failover."""
        self._done.append((self._monotonic(), deed))

    def forget_old(self) -> None:
        """Called while the log is read: during an outage nothing grows old."""
        before = self._monotonic() - REMEMBERED_FOR
        while self._done and self._done[0][0] < before:
            self._done.popleft()

    def repeat(self) -> None:
        """Puts what was done lately in front of what waits."""
        self._waiting.extendleft(deed for _, deed in reversed(self._done))
        self._done.clear()
        if self._waiting:
            self._filled.set()

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            await self._breaker.up()
            deed = self._waiting.popleft()
            try:
                await self._write(deed)
            except Refused as error:
                self._put_off(deed, error)
                if self._waiting and self._waiting[0] in self._refusals:
                    await asyncio.sleep(PROBE_PAUSE)  # the others have had their turn
            except StoreUnavailable:
                self._waiting.appendleft(deed)
                await asyncio.sleep(PROBE_PAUSE)
            except asyncio.CancelledError:
                self._waiting.appendleft(deed)
                raise
            except Exception:  # noqa: BLE001 - a background loop goes on
                self._refusals.pop(deed, None)
                _LOG.exception("a revocation can't be written")
            else:
                self._refusals.pop(deed, None)
                if deed.must_last:
                    self.remember(deed)
            if not self._waiting:
                self._filled.clear()

    async def _write(self, deed: Deed) -> None:
        self._is_writing = True
        try:
            await self._caller.run(deed)
        finally:
            self._is_writing = False

    def _put_off(self, deed: Deed, error: Refused) -> None:
        """To the back, where it delays nobody; what is refused again and again is given up."""
        now = self._monotonic()
        since = self._refusals.setdefault(deed, now)
        if error.is_final and now - since > REFUSED_FOR:
            del self._refusals[deed]
            _LOG.error("what waited for the store is refused, and lost: %s", error.__cause__)
            return
        self._waiting.append(deed)
