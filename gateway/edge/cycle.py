"""One request and its answer on a client connection, in the place of uvicorn's own cycle.

What uvicorn's can't do is done here: a small answer leaves in one write, interim answers and
reason phrases pass, HEAD and 304 keep their Content-Length, HTTP/1.0 clients get no chunks, a
truncated answer never ends cleanly, and a client that stops reading is let go.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from gateway.cors import Fields
from gateway.edge.client_head import cut, head_lines, interim_head
from gateway.edge.transfer import ResponseTruncated
from gateway.errors import GatewayError, ShuttingDown
from gateway.upstream.headers import BODILESS

CLIENT_STALL = 30.0  # seconds a client may read nothing of what it is sent

_LOG = logging.getLogger(__name__)


class Refusal(Protocol):
    """Words an error as a whole answer, with these CORS fields."""

    def __call__(self, error: GatewayError, cors: Fields = ()) -> bytes: ...


class Flow(FlowControl):
    """uvicorn's flow control, which also counts the bytes `written` to the connection."""

    written = 0


class EdgeCycle:
    """One request and its answer on a client connection: ASGI's `receive` and `send`.

    What uvicorn's protocol reads and sets of its own cycle has the same names here.
    """

    __slots__ = (
        "_ends_at_eof", "_head", "_is_bodiless", "_is_end_told", "_waiter", "body",
        "chunked_encoding", "disconnected", "flow", "keep_alive", "loop", "more_body",
        "on_response", "refusal", "response_complete", "response_started", "scope", "transport",
        "waiting_for_100_continue",
    )  # fmt: skip

    def __init__(
        self,
        scope: dict[str, Any],
        transport: asyncio.Transport,
        flow: Flow,
        loop: asyncio.AbstractEventLoop,
        on_response: Callable[[], None],
        refusal: Refusal,
        *,
        keep_alive: bool,
        expect_100_continue: bool,
    ) -> None:
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.loop = loop
        self.on_response = on_response
        self.refusal = refusal
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expect_100_continue
        self.disconnected = False
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = False
        self._head: bytes | None = None
        self._is_bodiless = False
        self._ends_at_eof = False
        self._is_end_told = False
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Something changed that `receive` may wait for."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def leave(self) -> None:
        """The client is gone, or not to be heard any more."""
        self.disconnected = True
        self.wake()

    async def receive(self) -> dict[str, Any]:
        """The next piece of the request's body, or the client's leaving."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        self.flow.resume_reading()
        while not (self.disconnected or self.response_complete):
            if self.body or not (self.more_body or self._is_end_told):
                body, self.body = bytes(self.body), bytearray()
                self._is_end_told = not self.more_body
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            self._waiter = self.loop.create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    async def run_asgi(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except ResponseTruncated:
            self._truncate()
        except asyncio.CancelledError:  # the graceful stop ran out of time
            self._give_up(ShuttingDown())
            raise
        except Exception:  # noqa: BLE001 - logged with its trace, and answered
            # The last resort of a defect: one answer or one cut connection, and a trace to find it.
            _LOG.exception("the gateway failed to handle a request")
            self._give_up(GatewayError("the gateway failed"))
        finally:
            self.on_response = _nothing  # breaks the cycle between cycle and protocol

    def _give_up(self, error: GatewayError) -> None:
        if not self.response_started and not self.disconnected:
            self.transport.write(self.refusal(error, self.scope.get("gateway.cors", ())))
        self._truncate()

    def _truncate(self) -> None:
        """Ends the answer so that nobody takes it for complete."""
        self.response_complete = True
        cut(self.transport, ends_at_eof=self._ends_at_eof)

    async def send(self, message: Any) -> None:
        """Raises ConnectionError when the client has left or stopped reading."""
        if self.flow.write_paused and not self.disconnected:
            try:
                async with asyncio.timeout(CLIENT_STALL):
                    await self.flow.drain()
            except TimeoutError as error:
                self.transport.abort()
                raise ConnectionError("the client stopped reading") from error
        if self.disconnected:
            raise ConnectionError("the client left")
        kind = message["type"]
        if kind == "http.response.start":
            self._start(message)
            if "body" in message:  # the lane's way to give a small answer in one message
                self._send_body(message["body"], more=False)
        elif kind == "http.response.body":
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif self.scope["http_version"] == "1.1":
            self.transport.write(interim_head(message["status"], message["headers"]))

    def _start(self, message: Any) -> None:
        self.response_started = True
        if self.waiting_for_100_continue:
            # Such a client may never send its body (RFC 9110 §10.1.1): what comes next is anything.
            self.waiting_for_100_continue = self.keep_alive = False
        status = message["status"]
        lines, has_length, is_last = head_lines(
            status, message.get("reason", b""), message["headers"]
        )
        self._is_bodiless = self.scope["method"] == "HEAD" or status in BODILESS
        if not self._is_bodiless and not has_length:
            if self.scope["http_version"] == "1.1":
                self.chunked_encoding = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self._ends_at_eof = True
                self.keep_alive = False
        if is_last:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def _send_body(self, data: bytes, *, more: bool) -> None:
        head, self._head = self._head or b"", None
        if self._is_bodiless:
            self._write(head)
        elif not self.chunked_encoding:
            self._write(head, data)
        elif data:
            self._write(
                b"%b%x\r\n" % (head, len(data)), data, b"\r\n" if more else b"\r\n0\r\n\r\n"
            )
        else:
            self._write(head, b"" if more else b"0\r\n\r\n")
        if not more:
            self.response_complete = True
            self.wake()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, *pieces: bytes) -> None:
        if len(max(pieces, key=len)) > 65536:
            for piece in pieces:  # a copy would cost more than a second write
                if piece:
                    self.flow.written += len(piece)
                    self.transport.write(piece)
        elif data := b"".join(pieces):
            self.flow.written += len(data)
            self.transport.write(data)


def _nothing() -> None:
    """Takes the place of a callback that is over."""
