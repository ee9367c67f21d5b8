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
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.cycle import CLIENT_STALL, EdgeCycle, Flow
from gateway.errors import GatewayError, RequestRefused

MAX_PIPELINED = 256  # requests of one connection that wait for the answer before theirs
_VERSIONS = ("1.0", "1.1")


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
    _call: asyncio.Future[None] | None = None  # wakes the server for the next request
    _is_served = False
    _unframed = 0
    _flushed = 0
    _flushed_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.leave()
        if self._call is not None and not self._call.done():
            self._call.set_result(None)
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]

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

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if len(name) == 6 and name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

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
        scope: Any = {  # of ASGI's, what the lane reads
            "type": "http",
            "http_version": version,
            "client": self.client,
            "scheme": self.scheme,
            "method": parser.get_method().decode("ascii"),
            "gateway.target": target,
            "path": path.decode("latin-1"),
            "headers": headers,
        }
        cycle = EdgeCycle(
            scope,
            self.transport,
            self.flow,  # type: ignore[arg-type]  # see connection_made
            self.loop,
            self.on_response_complete,
            self.refusal,
            keep_alive=version == "1.1" and not is_upgrade and parser.should_keep_alive(),
            expect_100_continue=self.expect_100_continue,
        )
        self.cycle = cycle  # type: ignore[assignment]
        if self._answering is None:
            self._answer(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.lane))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._unframed = 0
        cycle: EdgeCycle = self.cycle  # type: ignore[assignment]
        if not cycle.response_complete:  # else: the rest of a body that nobody wants
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.wake()

    def on_message_complete(self) -> None:
        cycle: EdgeCycle = self.cycle  # type: ignore[assignment]
        cycle.more_body = False
        cycle.wake()

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
        if self._call is not None:
            call, self._call = self._call, None
            call.set_result(None)
        elif not self._is_served:
            self._is_served = True
            task = self.loop.create_task(self._serve())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _serve(self) -> None:
        """Answers the connection's requests one after the other: a task for each would cost more.

        Ends with the connection.
        """
        while self.parser is not None:
            if (cycle := self._answering) is None:
                self._call = self.loop.create_future()
                await self._call
                continue
            await cycle.run_asgi(self.lane)
            if self._answering is cycle:  # cut, and not answered to its end
                self._answering = None

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
            bad.leave()  # type: ignore[attr-defined]
        if bad is None or not bad.response_started:
            self.transport.write(self.refusal(error))
        self.transport.close()
