"""Reads answers off an upstream connection and hands their events to the exchange of the time.

Rules (RFC 9112)
- §6.3: an answer ends by its method and status (HEAD, 1xx, 204, 304 have no body), then by
  Transfer-Encoding, then by Content-Length, and only then by the end of the connection.
- §6.1: no transfer coding but chunked, since none was asked for.
- A head over 64 KiB, or one that llhttp refuses, makes the upstream broken.
"""

from typing import Any

import httptools

from gateway.errors import UpstreamError
from gateway.upstream.exchange import AnswerSink
from gateway.upstream.headers import BODILESS
from gateway.upstream.ordinary_answer import OrdinaryAnswers

MAX_HEAD = 64 * 1024
_VERSIONS = ("1.0", "1.1")


class AnswerReader:
    """The reading half of a connection; `begin` starts the next answer.

    `exchange` gets the events; None, and they are lost.
    """

    def __init__(self, ordinary: OrdinaryAnswers) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._ordinary = ordinary
        self.exchange: AnswerSink | None = None
        self._is_head_asked = False
        self.is_complete = True
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._is_chunked = False
        self._is_skipped = False  # the rest of this parser's message has no meaning
        self.is_in_head = True
        self.ends_at_eof = False
        self.keeps_alive = False
        self.is_full = False  # the exchange holds as much as it wants to
        self.is_switched = False  # what follows is no HTTP
        self.rest = b""  # … and what came of it

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the answer came."""
        return self._head_size > 0

    def begin(self, exchange: AnswerSink, *, is_head: bool) -> None:
        """What comes from now on answers this exchange; `is_head` says that HEAD was asked."""
        if self._is_skipped:
            # llhttp does not know the method, and may wait for a body that will not come.
            self._parser = httptools.HttpResponseParser(self)
        self._reset()
        self.exchange = exchange
        self._is_head_asked = is_head
        self.is_complete = False

    def feed(self, data: bytes) -> None:
        """Takes bytes of the answer; raises UpstreamError where they are none."""
        if self._head_size == 0 and self._is_taken(data):
            return
        if self.exchange is not None:
            self.exchange.on_progress()
        if self.is_in_head:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.is_switched:
                self.rest = data[error.args[0] :]
                return
            cause = error.__context__
            if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(
                cause, ValueError
            ):
                raise cause or error from None  # a defect of ours is not the upstream's fault
            if not self.is_complete:
                raise UpstreamError.broken() from error
            self.keeps_alive = False  # bytes behind the answer, which was complete
        if self.is_in_head and self._head_size > MAX_HEAD:
            raise UpstreamError.broken("the upstream's answer has too large a head")

    def _is_taken(self, data: bytes) -> bool:
        """Hands an ordinary answer on, if these bytes are one: the parser does not see it."""
        exchange = self.exchange
        if exchange is None or self.is_complete or self._is_head_asked or len(data) > MAX_HEAD:
            return False
        answer = self._ordinary.read(data)
        if answer is None:
            return False
        status, reason, headers, lines, body = answer
        self._head_size = len(data)
        self.status = status
        self.is_in_head = False
        self.keeps_alive = True
        exchange.on_head(status, reason, headers, lines)
        exchange.on_body(body)
        self._complete()
        return True

    def feed_eof(self) -> bool:
        """The connection ended; True where that completes the answer."""
        if self.ends_at_eof and not self.is_complete:
            self._complete()
            return True
        return False

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self.is_complete:  # the next message's bytes, before anybody asked
            self.keeps_alive = False

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_in_head:
            return  # a trailer: it ends here
        if len(name) == 17 and name.lower() == b"transfer-encoding":
            if self._is_chunked or value.lower() != b"chunked":
                raise ValueError("a transfer coding that nobody asked for")
            self._is_chunked = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or self.is_complete:
            raise ValueError("an answer that nobody asked for")
        parser, headers = self._parser, self._headers
        status = parser.get_status_code()
        if status < 200:
            if status == 101 and exchange.may_switch and parser.should_upgrade():
                self.is_in_head = False
                self.is_switched = self.is_full = True
                exchange.on_head(status, self._reason, headers)
                return
            if status == 101 or status < 100:
                raise ValueError("an answer that no request asked for")
            if status > 101:  # 100 answers an Expect, which this gateway has met itself
                exchange.on_informational(status, headers)
            return
        if parser.get_http_version() not in _VERSIONS:
            raise ValueError("no HTTP/1.1 answer")
        if self._head_size > MAX_HEAD and _size(headers) > MAX_HEAD:
            raise ValueError("too large a head")
        self.status = status
        self.is_in_head = False
        self._is_skipped = self._is_head_asked or status in BODILESS
        # Older WSGI servers may still send the body of an answer to HEAD.
        self.keeps_alive = parser.should_keep_alive() and not self._is_head_asked
        if not self._is_skipped and not parser.should_keep_alive():
            self.ends_at_eof = not any(
                name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers
            )
        exchange.on_head(status, self._reason, headers)
        if self._is_skipped:
            self._complete()

    def on_body(self, data: bytes) -> None:
        if self.exchange is not None and not self._is_skipped:
            self.is_full = self.exchange.on_body(data)

    def on_message_complete(self) -> None:
        if self.is_in_head:  # an interim answer: the real one follows
            self._reason = b""
            self._headers = []
        elif not (self.is_complete or self.is_switched):
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        if self.exchange is not None:
            self.exchange.on_end()


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
