"""That part of a client connection which the ASGI lane answers: one task serves its requests."""

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.edge.asgi import AsgiLane
from gateway.edge.cycle import EdgeCycle
from gateway.edge.patience import Patience
from gateway.edge.splice import Held
from gateway.request import RequestHead

if TYPE_CHECKING:
    from gateway.edge.fast import FastExchange


class AsgiSide(Patience):
    """Runs the lane. Subclasses parse, and call `_answer` when nothing else is being answered."""

    lane: AsgiLane
    _answering: "EdgeCycle | FastExchange | None" = None
    _call: asyncio.Future[None] | None = None  # wakes the server for the next request
    _is_served = False
    _keeps_alive = False

    def _cycle_of(self, request: RequestHead) -> EdgeCycle:
        scope: Any = {  # of ASGI's, what the lane reads
            "type": "http",
            "http_version": request.http_version,
            "client": self.client,
            "scheme": self.scheme,
            "method": request.method,
            "gateway.target": request.target,
            "path": request.sent_path,
            "headers": request.headers,
            "gateway.lines": request.lines,
        }
        if request.may_upgrade:
            scope["gateway.connection"] = self
        cycle = EdgeCycle(
            scope,
            self.transport,
            self.flow,  # type: ignore[arg-type]  # see connection_made
            self.loop,
            self.on_response_complete,
            self.refusal,
            keep_alive=self._keeps_alive,
            expect_100_continue=self.expect_100_continue,
        )
        self.cycle = cycle  # type: ignore[assignment]
        return cycle

    def hand_over(self) -> bytes:
        """Gives up the connection, which a socket takes; what came on it behind the request."""
        held = self.parser.data if isinstance(self.parser, Held) else b""
        self.parser = None  # type: ignore[assignment]  # ends `_serve`
        self.pipeline.clear()
        self._forget_head()
        self.flow.resume_reading()
        self.connections.discard(self)
        return held

    def _answer(self, cycle: EdgeCycle) -> None:
        self._answering = cycle
        if self._call is not None:
            call, self._call = self._call, None
            call.set_result(None)
        elif not self._is_served:
            self._is_served = True
            task = self.loop.create_task(self._serve())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _serve(self) -> None:
        """Answers the connection's requests one after the other: a task for each would cost more.

        Ends with the connection.
        """
        while self.parser is not None:
            if not isinstance(cycle := self._answering, EdgeCycle):
                self._call = self.loop.create_future()
                await self._call
                continue
            await cycle.run_asgi(self.lane)
            if self._answering is cycle:  # cut, and not answered to its end
                self._answering = None
