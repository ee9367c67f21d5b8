"""Several workers behind one port: started, replaced, reloaded and stopped together.

The supervisor serves no request itself. It has the admin listener, which tells of all workers, and
holds their listening sockets, so that what waits to be accepted outlives a worker.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any

from gateway.app.inquiry import PATIENCE, understood
from gateway.app.seat import REPORT, Seat
from gateway.config import Config
from gateway.endpoints.admin.fleet import Question, Unanswered
from gateway.telemetry.logs import configure_logging
from gateway.telemetry.summed import Snapshot, SummedMetrics

OBSERVED_EVERY = 1.0  # seconds: at most that much of what a killed worker counted is lost

_NOT_SERVING = "starting or stopping"

_LOG = logging.getLogger(__name__)


class Supervisor:
    """All workers, one for each listening socket."""

    def __init__(self, config: Config, listeners: Sequence[socket.socket]) -> None:
        self.config = config
        self._metrics = SummedMetrics()
        self._listeners = listeners
        self._seats = [
            Seat(number, listener, config=lambda: self.config, metrics=self._metrics)
            for number, listener in enumerate(listeners, 1)
        ]
        self._is_serving = False
        self._observing: asyncio.Task[None] | None = None

    async def start(self) -> str | None:
        """Returns once all workers serve; why one can't, and then none does."""
        whys = await asyncio.gather(*(seat.begin() for seat in self._seats))
        for seat, why in zip(self._seats, whys, strict=True):
            if why is not None:
                await self.stop()
                return f"worker {seat.number}: {why}"
        for seat in self._seats:
            seat.keep()
        self._is_serving = True
        self._observing = asyncio.create_task(self._observe(), name="observing")
        return None

    def drain(self) -> None:
        """Readiness fails; no new connections; what is in flight is finished, and workers end."""
        self._is_serving = False
        # First, so that each worker's own is the last one: what waits there when it stops accepting
        # is served, where a queue that nobody would empty is reset.
        for listener in self._listeners:
            listener.close()
        for seat in self._seats:
            seat.terminate()

    async def stop(self) -> None:
        """Returns when all workers have ended."""
        self.drain()
        if self._observing is not None:
            self._observing.cancel()
            await asyncio.gather(self._observing, return_exceptions=True)
        patience = self.config.server.graceful_shutdown
        await asyncio.gather(*(seat.end(patience) for seat in self._seats))

    async def apply(self, new: Config) -> list[str]:
        """Puts a configuration in force in all workers, or in none; why it can't be."""
        if not self._is_serving:
            return [_NOT_SERVING]
        old = self.config
        whys = await asyncio.gather(*(seat.prepare(new) for seat in self._seats))
        refused = [why for why in whys if why is not None]
        if refused:
            await asyncio.gather(*(seat.abort(old) for seat in self._seats))
            return refused
        self.config = new
        configure_logging(new.logging.level, new.logging.format)
        whys = await asyncio.gather(*(seat.commit(new) for seat in self._seats))
        for seat, why in zip(self._seats, whys, strict=True):
            if why is not None:  # its follower begins with the new one
                _LOG.error("after the reload: worker %d: %s", seat.number, why)
                seat.replace()
        return []

    async def unready_because(self) -> str | None:
        """Why no traffic should be sent here, None when all workers are ready."""
        if not self._is_serving:
            return _NOT_SERVING
        whys = await asyncio.gather(*(seat.report() for seat in self._seats))
        return next((why for why in whys if why is not None), None)

    async def exposition(self) -> bytes:
        """The metrics of all workers as one; of one that does not answer, what it told last."""
        await asyncio.gather(*(seat.report() for seat in self._seats))
        return self._metrics.exposition()

    async def snapshot(self) -> Snapshot:
        """As `exposition`, as data that is a second old at most."""
        return self._metrics.snapshot()

    async def ask_each(self, question: Question) -> list[Any]:
        """What those say that answer in time."""
        said = await asyncio.gather(
            *(seat.inquire(question, patience=REPORT) for seat in self._seats)
        )
        return [understood(one) for one in said if not isinstance(one, str)]

    async def ask_one(self, question: Question, *arguments: str) -> Any:
        """What the first says that serves; raises Unanswered."""
        serving = [seat for seat in self._seats if seat.is_serving]
        if not serving:
            raise Unanswered("no_worker", _NOT_SERVING)
        said = await serving[0].inquire(question, *arguments, patience=PATIENCE)
        if isinstance(said, str):
            raise Unanswered("no_worker", said)
        return understood(said)

    async def _observe(self) -> None:
        while True:
            await asyncio.sleep(OBSERVED_EVERY)
            await asyncio.gather(*(seat.report() for seat in self._seats))

    def __repr__(self) -> str:
        serving = sum(seat.is_serving for seat in self._seats)
        return f"<Supervisor {serving} of {len(self._seats)} workers serving>"
