"""How many clients there may be, and how long each is waited for: for a head, for the next request,
for its reading.
"""

import asyncio
from collections.abc import Collection
from socket import AF_UNIX
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.cycle import CLIENT_STALL, Refusal
from gateway.errors import RequestRefused, TooManyConnections
from gateway.request import UNIX_PEER


class Patience(HttpToolsProtocol):
    """The times of a client connection, in seconds. Subclasses tell where its requests are."""

    max_connections: int  # that may be open at once
    present: Collection[Any] = ()  # all connections of the server, WebSockets among them
    refusal: Refusal
    header_timeout: float  # for a whole head
    idle_since: float | None = None  # the loop's time; None while a request is under way
    is_fast = True  # whether what can goes by the fast lane
    is_leaving = False  # whether the next answer is the last
    _is_in_head = False
    _head_timer: asyncio.TimerHandle | None = None
    _flushed = 0
    _flushed_since = 0.0

    def refuse(self, error: RequestRefused) -> None:
        """Ends the connection, behind the answers to the whole requests that came before."""
        raise NotImplementedError

    def _welcome(self) -> None:
        """A new connection: it may say something, or there are too many already."""
        if self.client is None and self.transport.get_extra_info("socket").family == AF_UNIX:
            self.client = (UNIX_PEER, 0)  # None is also a client that is gone already
        if len(self.connections) > self.max_connections:
            self.transport.write(self.refusal(TooManyConnections()))
            self.transport.close()
        else:
            self._expect_head()

    def sweep(self, now: float, keep_alive: float) -> None:
        """Ends a connection that is idle, or whose client does not read; times in seconds."""
        unsent = self.transport.get_write_buffer_size()
        flushed = self.flow.written - unsent  # type: ignore[attr-defined]
        if not unsent or flushed != self._flushed:
            self._flushed, self._flushed_since = flushed, now
            if self.idle_since is not None and now - self.idle_since >= keep_alive:
                self.transport.close()
        elif now - self._flushed_since > CLIENT_STALL:
            self.transport.abort()

    def shutdown(self) -> None:
        """A graceful stop: the answer that comes next is the last.

        A client that waits may be sending just now, so it is given time, see `end_waiting`.
        """
        self.is_leaving, self.is_fast = True, False
        if not self._is_waiting and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def end_waiting(self) -> None:
        """Ends a connection on which nothing is under way."""
        if self._is_waiting:
            self.transport.close()

    @property
    def in_flight(self) -> int:
        """Requests of this connection that are not answered to their end."""
        return 0 if self._is_waiting else 1 + len(self.pipeline)

    @property
    def _is_waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        """A head that came whole with its first byte, as most do, needs no timer."""
        self._head_timer = self.loop.call_later(self.header_timeout, self._miss_head)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _miss_head(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            detail = "the request head came too slowly"
            self.refuse(RequestRefused(408, "header_timeout", detail))
        else:  # not a byte: it may be a browser's, opened in advance
            self.transport.close()
