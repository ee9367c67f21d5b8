"""The uvicorn seam: its httptools protocol, made exact and safe for a proxy.

uvicorn keeps the sockets, the supervisor and the lifespan.

Rules
- The target stays as it was sent; trailers are no header fields.
- Requests are answered in their order; what is no HTTP/1.1 ends the connection behind the answers
  to whole requests before it, and nothing that follows runs.
- Nothing is held without bound: heads, chunk extensions, trailers, pipelined requests.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.cycle import CLIENT_STALL, EdgeCycle, Flow
from gateway.errors import GatewayError, RequestRefused

MAX_PIPELINED = 256  # requests of one connection that wait for the answer before theirs
_VERSIONS = ("1.0", "1.1")
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class EdgeProtocol(HttpToolsProtocol):
    """Parses a client connection. Subclasses set what the configuration says:

    `lane` is the ASGI application for HTTP, `refusal` words what can't be parsed, `max_head` is
    the most bytes that may come without a head, or a piece of body, getting complete.
    """

    lane: Any

    refusal: Callable[[GatewayError], bytes]
    max_head: int
    idle_since: float | None = None  # the loop's time; None while a request is under way
    _answering: EdgeCycle | None = None
    _unframed = 0
    _flushed = 0
    _flushed_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unframed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(
                RequestRefused(400, "request_invalid", "this is not a valid HTTP/1.1 request")
            )
        except httptools.HttpParserUpgrade:
            pass  # never tunnelled: the request is answered, and the connection ends
        if self._unframed > self.max_head and not self.transport.is_closing():
            self._refuse(RequestRefused(431, "header_too_large", "the header fields are too large"))

    def on_message_begin(self) -> None:
        self.idle_since = None
        self._unframed = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """As uvicorn's own, with the target kept and the cycle of this house."""
        parser = self.parser
        version = parser.get_http_version()
        is_upgrade = parser.should_upgrade()
        if version not in _VERSIONS or (is_upgrade and self._has_body()):
            raise ValueError("no HTTP/1.1 request")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        target = self.url
        path = target.partition(b"?")[0]
        headers, self.headers = self.headers, []  # trailers go where nobody looks
        self._unframed = 0
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
            "headers": headers,
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
        self.cycle = cycle
        if self._answering is None:
            self._answer(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.lane))

    def on_body(self, body: bytes) -> None:
        self._unframed = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """As uvicorn's own, but without a timer per request: the server's tick closes the idle."""
        self._answering = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._answer(cycle)  # type: ignore[arg-type]
        else:
            self.idle_since = self.loop.time()

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

    def _answer(self, cycle: EdgeCycle) -> None:
        self._answering = cycle
        self._start_asgi_task(cycle, self.lane)

    def _has_body(self) -> bool:
        names = {name for name, value in self.headers if value != b"0"}
        return not names.isdisjoint((b"content-length", b"transfer-encoding"))

    def _refuse(self, error: RequestRefused) -> None:
        """Ends the connection, behind the answers to the whole requests that came before."""
        self.flow.pause_reading()
        bad = self.cycle if self.cycle is not None and self.cycle.more_body else None
        if bad is not None and self.pipeline and self.pipeline[0][0] is bad:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._answering
        if last is not None and last is not bad:
            last.keep_alive = False
            return
        if bad is not None:
            bad.disconnected = True
            bad.message_event.set()
        if bad is None or not bad.response_started:
            self.transport.write(self.refusal(error))
        self.transport.close()
