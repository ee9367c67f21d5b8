"""The uvicorn seam: its httptools protocol, made exact for a proxy.

uvicorn keeps the sockets, the supervisor and the lifespan. What its own cycle can't do is done
here: the target stays as it was sent, a small answer leaves in one write, interim answers and
reason phrases pass, HEAD and 304 keep their Content-Length, HTTP/1.0 clients get no chunks, a
truncated answer never ends cleanly, and a client that stops reading is let go.
"""

import asyncio
import http
import struct
from collections.abc import Callable, Iterable
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.edge.transfer import ResponseTruncated
from gateway.errors import GatewayError, RequestRefused

CLIENT_STALL = 30.0  # seconds a client may read nothing of what it is sent

_PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_NO_BODY = (204, 304)
_VERSIONS = ("1.0", "1.1")
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_RESET = struct.pack("ii", 1, 0)


class EdgeCycle(RequestResponseCycle):
    """One request and its answer on a client connection."""

    refusal: Callable[[GatewayError], bytes]
    _head: bytes | None = None
    _is_bodiless = False
    _ends_at_eof = False

    async def run_asgi(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except ResponseTruncated:
            self._truncate()
        except asyncio.CancelledError:  # the graceful stop ran out of time
            self._truncate()
            raise
        except Exception:
            # The last resort of a defect: one answer or one cut connection, and a trace to find it.
            self.logger.exception("the gateway failed to handle a request")
            if not self.response_started and not self.disconnected:
                self.transport.write(self.refusal(GatewayError("the gateway failed")))
            self._truncate()
        finally:
            self.on_response = _nothing  # breaks the cycle between cycle and protocol

    def _truncate(self) -> None:
        """Ends the answer so that nobody takes it for complete."""
        self.response_complete = True
        if self._ends_at_eof and (socket := self.transport.get_extra_info("socket")) is not None:
            socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)  # its end must not look like one
            self.transport.abort()
        else:
            self.transport.close()

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
        if kind == "http.response.body":
            self._send_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start":
            self._start(message)
        elif self.scope["http_version"] == "1.1":
            lines, _ = _head_lines(message["status"], b"", message["headers"])
            self.transport.write(b"".join([*lines, b"\r\n"]))

    def _start(self, message: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        status = message["status"]
        lines, has_length = _head_lines(status, message.get("reason", b""), message["headers"])
        self._is_bodiless = self.scope["method"] == "HEAD" or status in _NO_BODY
        self.chunked_encoding = False
        if not self._is_bodiless and not has_length:
            if self.scope["http_version"] == "1.1":
                self.chunked_encoding = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self._ends_at_eof = True
                self.keep_alive = False
        if (b"connection", b"close") in message["headers"]:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def _send_body(self, data: bytes, more: bool) -> None:
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
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, *pieces: bytes) -> None:
        size = sum(map(len, pieces))
        if size > 65536:
            for piece in pieces:  # a copy would cost more than a second write
                if piece:
                    self.transport.write(piece)
        elif size:
            self.transport.write(b"".join(pieces))


def _head_lines(
    status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> tuple[list[bytes], bool]:
    """The status line and fields, and whether a Content-Length is among them."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason or _PHRASES.get(status, b""))]
    has_length = False
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
        if len(name) == 14 and name.lower() == b"content-length":
            has_length = True
    return lines, has_length


def _nothing() -> None:
    """Takes the place of a callback that is over."""


class EdgeProtocol(HttpToolsProtocol):
    """Parses a client connection. Subclasses set `refusal`, which words what can't be parsed."""

    refusal: Callable[[GatewayError], bytes]
    idle_since: float | None = None  # the loop's time; None while a request is under way

    def on_message_begin(self) -> None:
        self.idle_since = None
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """As uvicorn's own, with the target kept and the cycle of this module."""
        parser = self.parser
        version = parser.get_http_version()
        is_upgrade = parser.should_upgrade()
        if version not in _VERSIONS or (is_upgrade and self._has_body()):
            raise ValueError("no HTTP/1.1 request")
        target = self.url
        path = target.partition(b"?")[0]
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": parser.get_method().decode("ascii"),
            "gateway.target": target,
            "root_path": "",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": b"",
            "headers": self.headers,
        }
        cycle = EdgeCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version == "1.1" and not is_upgrade and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        cycle.refusal = self.refusal
        before, self.cycle = self.cycle, cycle
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_response_complete(self) -> None:
        """As uvicorn's own, but without a timer per request: the server's tick closes the idle."""
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            else:
                self.idle_since = self.loop.time()

    def close_if_idle(self, oldest: float) -> None:
        """Closes a kept connection that has been idle since before `oldest`."""
        if self.idle_since is not None and self.idle_since <= oldest:
            self.transport.close()

    def _has_body(self) -> bool:
        names = {name for name, value in self.headers if value != b"0"}
        return not names.isdisjoint((b"content-length", b"transfer-encoding"))

    def _unsupported_upgrade_warning(self) -> None:
        """An Upgrade is never tunnelled: the request is answered, and the connection ends."""

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP/1.1 message is refused, and nothing pipelined behind it runs."""
        cycle = self.cycle
        self.pipeline.clear()
        self.flow.pause_reading()
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:  # a whole request before the bad bytes: it is answered
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or not cycle.response_started or cycle.response_complete:
            error = RequestRefused(400, "request_invalid", "this is not a valid HTTP/1.1 request")
            self.transport.write(self.refusal(error))
        self.transport.close()
