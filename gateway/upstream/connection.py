"""One connection to an upstream server: HTTP/1.1, one exchange at a time, kept alive between.

Rules (RFC 9112)
- §8: an answer that stops short of its framing is a failure, never an end.
- §9.3: a connection is reused only after an answer that was complete, on a request that was sent
  whole; bytes that nobody asked for end it.
- §9.6: an answer counts although the upstream then refused the rest of the request.
"""

import asyncio
import logging
import os
import select
from contextlib import suppress
from typing import Any, Protocol

from gateway.errors import GatewayError, UpstreamError
from gateway.upstream.answer import AnswerReader
from gateway.upstream.exchange import AnswerSink
from gateway.upstream.ordinary_answer import OrdinaryAnswers

# A server that answers without reading a body promises to keep the connection, and yet hangs up
# over a larger rest than this (Gunicorn: 64 KiB): the next request would be lost.
MOST_UNREAD = 48 * 1024

_LOG = logging.getLogger(__name__)


class Owner(Protocol):
    """Whose connections they are: a server's.

    `freed` tells that an exchange is over, with its status or 0 where no whole answer came;
    `failed`, before that, that this was the upstream's fault; `lost`, once, that it is gone.
    """

    def freed(
        self, connection: "UpstreamConnection", exchange: AnswerSink, status: int
    ) -> None: ...
    def failed(self, connection: "UpstreamConnection") -> None: ...
    def lost(self, connection: "UpstreamConnection") -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """Sends a request's bytes, and hands the events of its answer to an `Exchange`.

    The `owner` hears of all that happens to it; `is_reusable` tells whether it may carry another
    exchange.
    """

    def __init__(
        self,
        *,
        owner: "Owner",
        loop: asyncio.AbstractEventLoop,
        answers: OrdinaryAnswers,
    ) -> None:
        self.loop = loop  # kept: to ask for the running loop costs a system call (getpid)
        self.owner = owner
        self._transport: Any = None
        self._reader = AnswerReader(answers)
        self.exchange: AnswerSink | None = None
        self.is_reused = False
        self.idle_since = 0.0
        self._is_sent = True
        self._is_light = True
        self._drain: asyncio.Future[None] | None = None
        self._is_write_paused = False
        self._is_read_paused = False

    def __repr__(self) -> str:
        state = "busy" if self.exchange else "closed" if self.is_closed else "idle"
        return f"<UpstreamConnection {state} reused={self.is_reused}>"

    # The pool's and the lane's side

    @property
    def is_closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        reader = self._reader
        is_over = reader.is_complete and self._is_sent
        return is_over and reader.keeps_alive and self._is_light and not self.is_closed

    @property
    def has_answered(self) -> bool:
        """Whether any byte of an answer to the present exchange came."""
        return self._reader.has_begun

    @property
    def was_stale(self) -> bool:
        """Whether it had been kept, and ended before a byte of the present answer came."""
        return self.is_reused and self.is_closed and not self.has_answered

    def has_ended(self) -> bool:
        """Whether the kernel has news of an idle connection: its end, or what nobody asked for."""
        socket = self._transport.get_extra_info("socket")
        if socket is None:  # no transport of the kernel's
            return False
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def begin(self, exchange: AnswerSink, data: bytes, *, is_head: bool, is_whole: bool) -> None:
        """Sends a request: its head and what is there of its body.

        `is_whole` says that nothing of the request is still to come by `send`.
        """
        self.exchange = exchange
        self._reader.begin(exchange, is_head=is_head)
        self._is_sent = is_whole
        self._is_light = is_whole and len(data) <= MOST_UNREAD
        self._transport.write(data)

    def send(self, data: bytes) -> None:
        """Sends a further piece of the request's body."""
        if not self.is_closed:
            self._transport.write(data)

    def finish(self) -> None:
        """The request was sent whole; an answer that came before frees the connection now."""
        self._is_sent = True
        if self._reader.is_complete:
            self._free()

    async def drain(self) -> None:
        """Returns when the upstream has taken most of what was sent."""
        if self._is_write_paused and not self.is_closed:
            self._drain = self.loop.create_future()
            await self._drain

    def pause(self) -> None:
        """Reads no more of the answer for now."""
        if not self._is_read_paused and not self.is_closed:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume(self, exchange: AnswerSink) -> None:
        """Reads on, if it still carries this exchange."""
        if self.exchange is exchange:
            self._resume()

    def abandon(self, exchange: AnswerSink) -> None:
        """Ends the connection at once, if it still carries this exchange."""
        if self.exchange is exchange:
            self.abort()
            self._release()

    def detach(self, exchange: AnswerSink) -> tuple[asyncio.Transport, bytes] | None:
        """Gives away the transport of an upstream that switched protocols, its reading paused.

        With it goes what came behind the 101. None where the connection is gone.
        """
        if self.is_closed or self.exchange is not exchange:
            return None
        transport, self._transport = self._transport, None
        self.exchange = self._reader.exchange = None
        self.owner.lost(self)
        return transport, self._reader.rest

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        exchange, reader = self.exchange, self._reader
        if exchange is None:
            self.close()  # an answer that nobody asked for
            return
        try:
            reader.feed(data)
        except UpstreamError as error:
            self.owner.failed(self)
            self.abandon(exchange)
            exchange.on_failure(error)
            return
        except Exception:  # noqa: BLE001 - logged with its trace, and answered
            _LOG.exception("the gateway failed to pass an answer on")
            self.abandon(exchange)
            exchange.on_failure(GatewayError("the gateway failed"))
            return
        if reader.is_complete:
            if self._is_sent or not reader.keeps_alive:
                self._free()
            return
        exchange.flush()
        if reader.is_full:
            self.pause()
            exchange.on_paused(self._resume)

    def eof_received(self) -> bool:
        if self.exchange is not None and self._reader.feed_eof():
            self._free()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self._reader.is_complete:
            self._read_rest()
        self._transport = None
        self.resume_writing()
        exchange, reader = self.exchange, self._reader
        if exchange is not None:
            if not reader.is_complete:
                self.owner.failed(self)
            self._release()
            if not reader.is_complete:
                exchange.on_failure(
                    UpstreamError.broken("the upstream closed the connection before its answer")
                    if reader.is_in_head
                    else UpstreamError.broken("the upstream's answer was cut short")
                )
        self.owner.lost(self)

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    def _free(self) -> None:
        """Gives the connection back: the answer is complete."""
        self._resume()
        self._release()

    def _release(self) -> None:
        exchange, reader = self.exchange, self._reader
        self.exchange = reader.exchange = None
        if exchange is not None:
            self.owner.freed(self, exchange, reader.status if reader.is_complete else 0)

    def _read_rest(self) -> None:
        """Reads what came before a failed write ended the transport."""
        socket = self._transport.get_extra_info("socket")
        with suppress(OSError):
            while self.exchange is not None and (data := os.read(socket.fileno(), 65536)):
                self.data_received(data)

    def _resume(self) -> None:
        if self._is_read_paused:
            self._is_read_paused = False
            if not self.is_closed:
                self._transport.resume_reading()
