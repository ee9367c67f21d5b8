"""One request and its answer on an upstream connection, as the client side sees it.

The connection pushes events in; the lane takes them out at the client's pace. Since when the
upstream is due stands here for the sweeper, so that no request needs a timer of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.errors import GatewayError, UpstreamError
from gateway.identity import Identity

HIGH_WATER = 128 * 1024  # bytes of answer held before the upstream is paused

Headers = Sequence[tuple[bytes, bytes]]


def is_event_stream(headers: Headers) -> bool:
    """Whether an answer with these fields comes at its own pace: server-sent events."""
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in headers
    )


class AnswerSink(Protocol):
    """Takes the events of an answer; the sweeper asks it whether the upstream is late.

    The `lines` of a head, where they are told, are its status line and the fields that a client
    may get, a Content-Length among them, as they may go on.
    """

    on_long_wait: Callable[[], None] | None
    started: float

    @property
    def may_switch(self) -> bool:
        """Whether a 101 was asked for."""
        ...

    @property
    def bearer(self) -> Identity | None:
        """Whose answer has begun, where it is to end with the bearer's session."""
        ...

    def on_progress(self) -> None: ...
    def on_informational(self, status: int, headers: Headers) -> None: ...
    def on_head(
        self, status: int, reason: bytes, headers: Headers, lines: Sequence[bytes] | None = None
    ) -> None: ...
    def on_body(self, data: bytes) -> bool: ...
    def flush(self) -> None: ...
    def on_paused(self, resume: Callable[[], None]) -> None: ...
    def on_end(self) -> None: ...
    def on_failure(self, error: GatewayError) -> None: ...
    def is_overdue(self, now: float, limit: float, total: float | None) -> bool: ...
    def expire(self) -> None: ...


class Exchange:
    """The answer to one request, arriving.

    `status`, `reason` and `headers` are set once `has_head`; the body is taken piecewise. A
    `failure` after the head means a truncated answer, which must never look complete.
    """

    status = 0
    reason = b""
    headers: Headers = ()
    informational: Sequence[tuple[int, Headers]] = ()
    has_head = False
    ended = False
    failure: GatewayError | None = None
    is_client_gone = False
    may_switch = False
    identity: Identity | None = None  # see `bearer`
    _answer_due: float | None = None  # since when the upstream owes a byte of its answer
    _upload_due: float | None = None  # since when it takes no more of the request
    on_long_wait: Callable[[], None] | None = None
    _buffered = 0
    _waiter: asyncio.Future[None] | None = None
    _resume_upstream: Callable[[], None] | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_sent: bool) -> None:
        self._loop = loop
        self._now = now = loop.time
        self._pieces: list[bytes] = []
        self.is_sent = is_sent
        self.started = now()

    def __repr__(self) -> str:
        state = "failed" if self.failure else "ended" if self.ended else "open"
        return f"<Exchange {self.status or 'no head'} {state} buffered={self._buffered}>"

    @property
    def bearer(self) -> Identity | None:
        return self.identity if self.has_head else None

    # The connection's side

    def on_progress(self) -> None:
        """A byte came from the upstream."""
        if self._answer_due is not None:
            self._answer_due = self._now()
        if self._upload_due is not None:
            self._upload_due = self._now()

    def on_informational(self, status: int, headers: Headers) -> None:
        self.informational = (*self.informational, (status, headers))
        self._wake()

    def on_head(
        self, status: int, reason: bytes, headers: Headers, lines: Sequence[bytes] | None = None
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.has_head = True
        self._wake()

    def on_body(self, data: bytes) -> bool:
        """Takes a piece of the body; True asks the connection to pause reading."""
        self._pieces.append(data)
        self._buffered += len(data)
        self._wake()
        return self._buffered > HIGH_WATER

    def flush(self) -> None:
        """All that came at once was told."""

    def on_paused(self, resume: Callable[[], None]) -> None:
        """The connection paused; `resume` is called when the lane has taken what is there."""
        self._resume_upstream = resume

    def on_end(self) -> None:
        self.ended = True
        self._wake()

    def on_failure(self, error: GatewayError) -> None:
        if not self.ended and self.failure is None:
            self.failure = error
            self._wake()

    # The lane's side

    @property
    def has_news(self) -> bool:
        """Whether there is anything to take or to learn since the last call of `take`."""
        return bool(self._pieces) or self.ended or self.failure is not None or self.is_client_gone

    def news(self) -> asyncio.Future[None]:
        """A future that is done when there is something new; meanwhile the upstream is due."""
        self._waiter = self._loop.create_future()
        if self.is_sent:
            self._answer_due = self._now()
        return self._waiter

    def take(self) -> bytes:
        """What arrived of the body since the last call."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._buffered = 0
        if self._resume_upstream is not None:
            resume, self._resume_upstream = self._resume_upstream, None
            resume()
        return data

    def upload_waits(self, is_waiting: bool) -> None:
        """The uploader's word on whether the upstream holds it up."""
        self._upload_due = self._now() if is_waiting else None

    def sent(self) -> None:
        """The request was sent whole: from now on the answer is due."""
        self.is_sent = True
        self._answer_due = self._now() if self._waiter is not None else None

    def is_overdue(self, now: float, limit: float, total: float | None) -> bool:
        """Whether the upstream has owed something for longer than `limit` seconds.

        Or whether all took longer than `total`; an event stream may take its time.
        """
        if self.failure is not None:
            return False
        is_late = total is not None and now - self.started > total
        for due in (self._answer_due, self._upload_due):
            is_late = is_late or (due is not None and now - due > limit)
        return is_late and not is_event_stream(self.headers)

    def client_left(self) -> None:
        """The client is gone: whoever waits is woken."""
        self.is_client_gone = True
        self._wake()

    def expire(self) -> None:
        """The sweeper's word that the upstream is overdue."""
        self.on_failure(UpstreamError.timeout())

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        self._answer_due = None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
