"""The fast lane: a proxied request from the client's connection to the upstream's and back, without
ASGI, task or future.

Rules
- It takes requests that are whole when they are decided, and need nothing else to be awaited; all
  others are the ASGI lane's, which decides anew.
- What was read of an answer at once leaves in one write; a client that reads slowly pauses the
  upstream.
- A failure before the head is answered; after it, the client sees a truncation.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.cors import with_cors
from gateway.edge.client_head import cut, head_lines, interim_head
from gateway.edge.lane import Lane
from gateway.edge.lasting import Lasting
from gateway.edge.refusal import refuse
from gateway.edge.transfer import framed, without_length
from gateway.errors import GatewayError, ShuttingDown, UpstreamError
from gateway.proxy import Forward
from gateway.request import RequestHead
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import Headers
from gateway.upstream.headers import BODILESS, response_headers

if TYPE_CHECKING:
    from gateway.edge.protocol import EdgeProtocol

_LOG = logging.getLogger(__name__)


class FastExchange(Lasting):
    """One request and its answer: the upstream connection's exchange, and the client's cycle."""

    __slots__ = (
        "_asked", "_body", "_connection", "_ends_at_eof", "_head", "_is_bodiless", "_is_chunked",
        "_lane", "_opening", "_pieces", "_request", "_request_id", "_sent", "_started",
        "_status", "keep_alive", "on_long_wait", "response_complete",
    )  # fmt: skip

    def __init__(
        self,
        protocol: "EdgeProtocol",
        lane: Lane,
        request: RequestHead,
        forward: Forward,
        *,
        body: bytes,
        request_id: bytes,
        started: float,
        keep_alive: bool,
    ) -> None:
        self._protocol = protocol
        self._loop = protocol.loop
        self._lane = lane
        self._request = request
        self._forward = forward
        self._body = body
        self._request_id = request_id
        self._started = started
        self.keep_alive = keep_alive
        self.response_started = False
        self.response_complete = False
        self._ends_at_eof = False
        self._is_bodiless = False
        self._is_chunked = False
        self.on_long_wait: Callable[[], None] | None = None  # else its leaving is seen without
        self._status = 499
        self._asked = 0.0
        self._sent = 0
        self._head = b""
        self._fields: Headers = ()
        self._pieces: list[bytes] = []
        self._connection: UpstreamConnection | None = None
        self._opening: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Sends the request, on a connection that waits or on a new one."""
        forward = self._forward
        connection = forward.site.upstream.take(forward)
        if connection is not None:
            self._begin(connection)
        else:
            self._opening = self._loop.create_task(self._open(None))

    async def _open(self, lost: UpstreamConnection | None) -> None:
        """Goes on with a new connection, after one that was lost to another server if it may."""
        forward = self._forward
        try:
            connection = await forward.site.upstream.connect(forward, lost=lost)
        except GatewayError as error:
            self.on_failure(error)
        except Exception:  # noqa: BLE001 - logged with its trace, and answered
            _LOG.exception("the gateway failed to connect")
            self.on_failure(GatewayError("the gateway failed"))
        else:
            self._begin(connection)

    def _begin(self, connection: UpstreamConnection) -> None:
        forward, body = self._forward, self._body
        self._connection = connection
        self.started = self._due = self._loop.time()
        self._asked = self._lane.clock()
        data = forward.head + framed(forward.body, body, is_last=True)
        connection.begin(self, data, is_head=forward.is_head, is_whole=True)

    # The upstream's side

    def on_informational(self, status: int, headers: Headers) -> None:
        if self._request.http_version == "1.1":
            self._protocol.write(interim_head(status, response_headers(headers)))

    def on_head(
        self, status: int, reason: bytes, headers: Headers, lines: Sequence[bytes] | None = None
    ) -> None:
        self._status = status
        self.response_started = True
        request = self._request
        if lines is not None and not request.cors:
            end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
            self._head = b"".join(lines) + end
            return
        fields = response_headers(headers)
        if request.cors:
            fields = with_cors(fields, request.cors)
        if status == 204:
            fields = without_length(fields)
        head, has_length, _ = head_lines(status, reason, fields)
        if request.method == "HEAD" or status in BODILESS:
            self._is_bodiless = True
        elif not has_length:
            self._fields = fields
            if request.http_version == "1.1":
                self._is_chunked = True
                head.append(b"transfer-encoding: chunked\r\n")
            else:
                self._ends_at_eof = True
                self.keep_alive = False
        head.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self._head = b"".join(head)

    def on_body(self, data: bytes) -> bool:
        if not self._is_bodiless:
            self._pieces.append(data)
            self._sent += len(data)
        return False  # see `flush`

    def flush(self) -> None:
        """All that came at once was told: it leaves."""
        if data := self._gathered(is_last=False):
            self._protocol.write(data)
            if self._protocol.flow.write_paused and self._connection is not None:
                self._connection.pause()

    def on_writable(self) -> None:
        """The client has read what it was sent."""
        self._due = self._loop.time()
        if self._connection is not None:
            self._connection.resume(self)

    def on_end(self) -> None:
        protocol = self._protocol
        if data := self._gathered(is_last=True):
            protocol.write(data)
        self._log("")
        self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()

    def on_failure(self, error: GatewayError) -> None:
        lost, self._connection = self._connection, None
        if lost is not None:
            lost.abandon(self)
        if self.response_complete:
            return
        if self.response_started:
            self._cut(error.reason)
        elif lost is not None and self._forward.may_repeat(error, lost, held=len(self._body)):
            self._opening = self._loop.create_task(self._open(lost))
        else:
            self.response_complete = True
            refuse(
                self._protocol, self._lane, self._request, error,
                request_id=self._request_id, started=self._started, keep_alive=self.keep_alive,
                asked=self._asked, received=len(self._body),
            )  # fmt: skip

    def expire(self) -> None:
        self.on_failure(UpstreamError.timeout())

    # The client's side

    def leave(self) -> None:
        """The client is gone, or not to be heard any more."""
        if not self.response_complete:
            self.response_complete = True
            if self._connection is not None:
                self._connection.abandon(self)
            elif self._opening is not None:
                self._opening.cancel()
            self._log("")

    def give_up(self) -> None:
        """The graceful stop ran out of time."""
        if not self.response_complete:
            if self._connection is None and self._opening is not None:
                self._opening.cancel()
            self.on_failure(ShuttingDown())

    def _gathered(self, *, is_last: bool) -> bytes:
        """What came since the last time, as it goes to the client."""
        head, self._head, pieces = self._head, b"", self._pieces
        if pieces:
            self._pieces = []
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if not self._is_chunked:
                return head + data if head else data
            end = b"\r\n0\r\n\r\n" if is_last else b"\r\n"
            return b"%b%x\r\n%b%b" % (head, len(data), data, end)
        return head + b"0\r\n\r\n" if is_last and self._is_chunked else head

    def _cut(self, reason: str) -> None:
        """Ends the answer so that nobody takes it for complete."""
        self.response_complete = True
        self.flush()
        cut(self._protocol.transport, ends_at_eof=self._ends_at_eof)
        self._log(reason)

    def _log(self, reason: str) -> None:
        self._lane.log(
            self._request, self._request_id, self._status, reason,
            self._started, self._asked, self._sent, len(self._body),
        )  # fmt: skip
