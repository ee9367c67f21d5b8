"""One connection to an upstream server: HTTP/1.1, one exchange at a time, kept alive between.

Rules (RFC 9112)
- §6.3: the answer ends by its method and status (HEAD, 1xx, 204, 304 have no body), then by
  Transfer-Encoding, then by Content-Length, and only then by the end of the connection.
- §8: an answer that stops short of its framing is a failure, never an end.
- §9.3: a connection is reused only after an answer that was complete, on a request that was sent
  whole; bytes that nobody asked for end it.
- A head over 64 KiB, or one that llhttp refuses, makes the upstream broken.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools

from gateway.errors import UpstreamError
from gateway.upstream.exchange import Exchange

MAX_RESPONSE_HEAD = 64 * 1024
UNREAD = 64 * 1024  # bytes of an unread request body that Gunicorn still clears away
_BODILESS = (204, 304)


class UpstreamConnection(asyncio.Protocol):
    """Sends a request's bytes, and hands the events of its answer to an `Exchange`.

    `on_free(connection)` is called when the exchange is over, `is_reusable` telling whether the
    connection may carry another one; `on_lost(connection)` once when the transport is gone.
    """

    def __init__(
        self,
        *,
        on_free: Callable[["UpstreamConnection"], None],
        on_lost: Callable[["UpstreamConnection"], None],
    ) -> None:
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: Any = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self.exchange: Exchange | None = None
        self.is_reused = False
        self.idle_since = 0.0
        self._is_head = False
        self._is_sent = True
        self._is_answered = False
        self._sent_size = 0
        self._drain: asyncio.Future[None] | None = None
        self._is_write_paused = False
        self._is_read_paused = False
        self._reset()

    def _reset(self) -> None:
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._in_head = True
        self._ends_at_eof = False
        self._is_skipped = False  # the rest of this parser's message has no meaning
        self._keeps_alive = False

    def __repr__(self) -> str:
        state = "busy" if self.exchange else "closed" if self.is_closed else "idle"
        return f"<UpstreamConnection {state} reused={self.is_reused}>"

    # The pool's and the lane's side

    @property
    def is_closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        return self._is_answered and self._is_sent and self._keeps_alive and not self.is_closed

    @property
    def has_answered(self) -> bool:
        """Whether any byte of an answer to the present exchange came."""
        return self._head_size > 0

    def begin(self, exchange: Exchange, data: bytes, *, is_head: bool, is_whole: bool) -> None:
        """Sends a request: its head and what is there of its body.

        `is_whole` says that nothing of the request is still to come by `send`.
        """
        self._reset()
        self.exchange = exchange
        self._is_head = is_head
        self._is_sent = is_whole
        self._is_answered = False
        self._sent_size = len(data)
        self._transport.write(data)

    def send(self, data: bytes) -> None:
        """Sends a further piece of the request's body."""
        if not self.is_closed:
            self._sent_size += len(data)
            self._transport.write(data)

    def finish(self) -> None:
        """The request was sent whole; an answer that came before frees the connection now."""
        self._is_sent = True
        if self._is_answered:
            self._free()

    async def drain(self) -> None:
        """Returns when the upstream has taken most of what was sent."""
        if self._is_write_paused and not self.is_closed:
            self._drain = asyncio.get_running_loop().create_future()
            await self._drain

    def abandon(self, exchange: Exchange) -> None:
        """Ends the connection at once, if it still carries this exchange."""
        if self.exchange is exchange:
            self.exchange = None
            self.abort()
            self._on_free(self)

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
        if self.exchange is None:
            self.close()  # an answer that nobody asked for
            return
        self.exchange.on_progress()
        if self._in_head:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_answered:  # else: bytes behind the answer, and it was complete
                self._fail(UpstreamError.broken())
                return
            self._keeps_alive = False
        if self._in_head and self._head_size > MAX_RESPONSE_HEAD:
            self._fail(UpstreamError.broken("the upstream's answer has too large a head"))
        elif self._is_answered and (self._is_sent or not self._keeps_alive):
            self._free()

    def eof_received(self) -> bool:
        if self.exchange is not None and self._ends_at_eof and not self._is_answered:
            self._end()
            self._free()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.resume_writing()
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            if not self._is_answered:
                exchange.on_failure(
                    UpstreamError.broken("the upstream closed the connection before its answer")
                    if self._in_head
                    else UpstreamError.broken("the upstream's answer was cut short")
                )
            self._on_free(self)
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._is_answered:  # the next message's bytes, before anybody asked
            self._keeps_alive = False

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: it ends here
        if len(name) == 17 and name.lower() == b"transfer-encoding" and value.lower() != b"chunked":
            raise ValueError("a transfer coding that nobody asked for")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or self._is_answered:
            raise ValueError("an answer that nobody asked for")
        status = self._parser.get_status_code()
        headers = self._headers
        if status < 200:
            if status == 101 or status < 100:
                raise ValueError("an answer that no request asked for")
            if status > 101:  # 100 answers an Expect, which this gateway has met itself
                exchange.on_informational(status, headers)
            return
        if self._head_size > MAX_RESPONSE_HEAD and _size(headers) > MAX_RESPONSE_HEAD:
            raise ValueError("too large a head")
        self._in_head = False
        self._keeps_alive = self._parser.should_keep_alive() and self._is_worth_keeping(status)
        if self._is_head or status in _BODILESS:
            self._is_skipped = True
        elif not self._parser.should_keep_alive():
            self._ends_at_eof = not any(
                name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers
            )
        exchange.on_head(status, self._reason, headers)
        if self._is_skipped:
            self._end()

    def _is_worth_keeping(self, status: int) -> bool:
        """Whether another request is safe behind this one, as the answer's head comes.

        Not where the upstream may still send the body of an answer to HEAD (older WSGI servers
        do), nor where it may not have read the request's body, over which Gunicorn hangs up.
        """
        may_be_unread = not self._is_sent or (status >= 400 and self._sent_size > UNREAD)
        return not self._is_head and not may_be_unread

    def on_body(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None or self._is_skipped:
            return
        if exchange.on_body(data) and not self._is_read_paused and self._transport is not None:
            self._is_read_paused = True
            self._transport.pause_reading()
            exchange.on_paused(self._resume)

    def on_message_complete(self) -> None:
        if self._in_head:  # an interim answer: the real one follows
            self._reason = b""
            self._headers = []
        elif not self._is_answered:
            self._end()

    def _end(self) -> None:
        self._is_answered = True
        if self.exchange is not None:
            self.exchange.on_end()

    def _free(self) -> None:
        """Gives the connection back: the answer is complete."""
        self._resume()
        if self._is_skipped:
            # llhttp does not know the method, and may wait for a body that will not come.
            self._parser = httptools.HttpResponseParser(self)
        self.exchange = None
        self._on_free(self)

    def _fail(self, error: UpstreamError) -> None:
        exchange = self.exchange
        if exchange is not None:
            self.abandon(exchange)
            exchange.on_failure(error)

    def _resume(self) -> None:
        if self._is_read_paused:
            self._is_read_paused = False
            if not self.is_closed:
                self._transport.resume_reading()


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
