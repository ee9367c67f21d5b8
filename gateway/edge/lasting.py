"""What the sweepers ask of an answer in the fast lane that lasts: is it late, and whose is it?"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.identity import Identity
from gateway.proxy import Forward
from gateway.upstream.exchange import Headers, is_event_stream

if TYPE_CHECKING:
    from gateway.edge.protocol import EdgeProtocol


class Lasting:
    """The part of a fast exchange that is looked at from outside; see `AnswerSink`."""

    __slots__ = ("_due", "_fields", "_forward", "_loop", "_protocol", "response_started", "started")

    may_switch = False
    more_body = False
    _due: float
    _fields: Headers  # of an answer that does not tell its length
    _forward: Forward
    _loop: asyncio.AbstractEventLoop
    _protocol: "EdgeProtocol"
    response_started: bool
    started: float

    def is_overdue(self, now: float, limit: float, total: float | None) -> bool:
        """Whether the upstream has owed something for longer than `limit` seconds.

        Or whether all took longer than `total`; an event stream may take its time.
        """
        is_late = now - self._due > limit and not self._protocol.flow.write_paused
        is_late = is_late or (total is not None and now - self.started > total)
        return is_late and not is_event_stream(self._fields)

    def on_progress(self) -> None:
        self._due = self._loop.time()

    def on_paused(self, resume: Callable[[], None]) -> None:
        raise AssertionError("it never says that it is full")

    @property
    def bearer(self) -> Identity | None:
        return self._forward.identity if self.response_started else None
