"""The uvicorn seam: its httptools protocol, made exact and safe for a proxy.

uvicorn keeps the sockets, the supervisor and the lifespan.

Rules
- The target stays as it was sent; trailers are no header fields.
- Requests are answered in their order; what is no HTTP/1.1 ends the connection behind the answers
  to whole requests before it, and nothing that follows runs.
- Nothing is held without bound: heads, chunk extensions, trailers, pipelined requests.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from gateway.edge import whole
from gateway.edge.asgi_side import AsgiSide
from gateway.edge.cycle import EdgeCycle, Flow
from gateway.edge.fast import FastExchange
from gateway.edge.lane import Headers
from gateway.edge.ordinary_head import OrdinaryHeads
from gateway.edge.refusal import head_too_large
from gateway.edge.splice import Held
from gateway.errors import RequestRefused
from gateway.request import RequestHead

MAX_QUICK = 16  # requests of one read that are decided at once, without a pause for others
MAX_PIPELINED = 256  # requests of one connection that wait for the answer before theirs
_VERSIONS = ("1.0", "1.1")


class EdgeProtocol(AsgiSide):
    """Parses a client connection. Subclasses set what the configuration says:

    `lane` is the ASGI application for HTTP, `refusal` words what can't be parsed, `heads` reads
    what needs no full parser, `max_head` is the most bytes that may come without a head, or a
    piece of body, getting complete, `max_fields` the most lines of a head or a trailer.
    """

    heads: OrdinaryHeads
    max_head: int
    max_fields: int
    _is_between = True  # whether the parser has read its last message to the end
    _pending: RequestHead | None = None  # a head whose message is not whole yet
    _held: bytearray  # … and what is here of its body
    _lines: list[bytes]
    _quick = 0
    _unframed = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)
        self._welcome()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._forget_head()
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.leave()
            if isinstance(self._answering, FastExchange):
                self._answering = None  # they hold each other, and a body
        self.cycle = None  # type: ignore[assignment]
        if self._call is not None and not self._call.done():
            self._call.set_result(None)
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._is_between and self._answering is None and self._is_taken(data):
            return
        self._unframed += len(data)
        self._quick = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._pending = None
            if self.transport.is_closing():
                return
            self.refuse(
                RequestRefused(400, "request_invalid", "this is not a valid HTTP/1.1 request")
            )
        except httptools.HttpParserUpgrade as upgrade:
            # The request is answered and the connection ends, unless the answer is a 101.
            self.parser = Held(data[upgrade.args[0] :])  # type: ignore[assignment]
        if self._pending is not None:
            self._answer_pending(is_whole=False)
        if self._is_in_head and self._head_timer is None and not self.transport.is_closing():
            self._expect_head()
        if self._unframed > self.max_head and not self.transport.is_closing():
            self.refuse(head_too_large())

    def _is_taken(self, data: bytes) -> bool:
        """Answers an ordinary request, if these bytes are one: the parser does not see it."""
        if not self.is_fast or self.flow.write_paused or self.transport.is_closing():
            return False
        head = self.heads.read(data)
        if head is None:
            return False
        self.idle_since = None
        if self._head_timer is not None:
            self._forget_head()
        method, target, headers, lines, body = head
        request = self._request(method, target, headers, lines, "1.1")
        if not whole.answer(self, self.lane.shared, request, body, keep_alive=True):
            self._keeps_alive, self.expect_100_continue = True, False
            self._give_to_asgi(request, body, is_whole=True)
        return True

    def _request(
        self, method: str, target: bytes, headers: Headers, lines: list[bytes], version: str
    ) -> RequestHead:
        client = self.client
        return RequestHead(
            method, target, b"", b"", headers, self.scheme or "http",
            client[0] if client else None, version, "", "", "", lines,
        )  # fmt: skip

    def on_message_begin(self) -> None:
        self.idle_since = None
        self._is_between = False
        self._is_in_head = True
        self._unframed = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._lines = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= self.max_fields:
            self.refuse(head_too_large())
            raise ValueError("too many header fields")
        self._lines.append(b"%b: %b\r\n" % (name, value))
        name = name.lower()
        if len(name) == 6 and name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """As uvicorn's own, with the target kept and the cycle of this house."""
        self._is_in_head = False
        if self._head_timer is not None:
            self._forget_head()
        if self.transport.is_closing():
            raise ValueError("behind the last answer")
        parser = self.parser
        version = parser.get_http_version()
        is_upgrade = parser.should_upgrade()
        if version not in _VERSIONS or (is_upgrade and self._has_body()):
            raise ValueError("no HTTP/1.1 request")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        headers, self.headers = self.headers, []  # trailers go where nobody looks
        lines, self._lines = self._lines, []
        self._unframed = 0
        method = parser.get_method().decode("ascii")
        request = self._request(method, self.url, headers, lines, version)
        request.may_upgrade = is_upgrade
        is_last = is_upgrade or self.is_leaving
        self._keeps_alive = version == "1.1" and not is_last and parser.should_keep_alive()
        if self._answering is not None:
            self.flow.pause_reading()
            if not self.pipeline:
                self._watch_for_leaving()
            self.pipeline.appendleft((self._cycle_of(request), self.lane))  # type: ignore[arg-type]
        elif is_upgrade or self.expect_100_continue or not self._may_be_fast:
            self._answer(self._cycle_of(request))
        else:  # the fast lane's, if the rest of it is here
            self._quick += 1
            self._pending, self._held = request, bytearray()

    def on_body(self, body: bytes) -> None:
        self._unframed = 0
        if self._pending is not None:
            self._held += body
            return
        cycle: EdgeCycle = self.cycle  # type: ignore[assignment]
        if not cycle.response_complete:  # else: the rest of a body that nobody wants
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.wake()

    def on_message_complete(self) -> None:
        self._is_between = True
        if self._pending is not None:
            self._answer_pending(is_whole=True)
            return
        cycle: EdgeCycle = self.cycle  # type: ignore[assignment]
        cycle.more_body = False
        cycle.wake()

    def on_response_complete(self) -> None:
        """As uvicorn's own, but without a timer per request: the server's tick closes the idle."""
        answered: Any = self._answering
        if isinstance(answered, FastExchange) and self.cycle is answered:
            self.cycle = None  # type: ignore[assignment]  # leaves no cycle to the collector
        self._answering = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._answer(cycle)  # type: ignore[arg-type]
        else:
            self.idle_since = self.loop.time()

    # What the fast lane needs

    def begin(self, exchange: FastExchange) -> None:
        """The connection's present request is this one."""
        self._answering = self.cycle = exchange  # type: ignore[assignment]

    def write(self, data: bytes) -> None:
        self.flow.written += len(data)  # type: ignore[attr-defined]
        self.transport.write(data)

    def resume_writing(self) -> None:
        super().resume_writing()
        if isinstance(self._answering, FastExchange):
            self._answering.on_writable()

    def give_up(self) -> None:
        """The graceful stop ran out of time."""
        if isinstance(self._answering, FastExchange):
            self._answering.give_up()

    @property
    def _may_be_fast(self) -> bool:
        """Not for a client that does not read, nor for very many requests at once."""
        return self.is_fast and not self.flow.write_paused and self._quick < MAX_QUICK

    def _watch_for_leaving(self) -> None:
        """Reading is paused: if the answer takes long, the client's leaving must be seen."""
        if isinstance(self._answering, FastExchange):
            self._answering.on_long_wait = self.flow.resume_reading

    def _answer_pending(self, *, is_whole: bool) -> None:
        request, self._pending = self._pending, None
        assert request is not None  # asked by who knows
        keep_alive, body = self._keeps_alive, bytes(self._held)
        if not (
            is_whole and whole.answer(self, self.lane.shared, request, body, keep_alive=keep_alive)
        ):
            self._give_to_asgi(request, body, is_whole=is_whole)

    def _give_to_asgi(self, request: RequestHead, body: bytes, *, is_whole: bool) -> None:
        cycle = self._cycle_of(request)
        cycle.body, cycle.more_body = bytearray(body), not is_whole
        self._answer(cycle)

    def _has_body(self) -> bool:
        names = {name for name, value in self.headers if value != b"0"}
        return not names.isdisjoint((b"content-length", b"transfer-encoding"))

    def refuse(self, error: RequestRefused) -> None:
        """Ends the connection, behind the answers to the whole requests that came before."""
        self.flow.pause_reading()
        bad = self.cycle if self.cycle is not None and self.cycle.more_body else None
        if bad is not None and self.pipeline and self.pipeline[0][0] is bad:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._answering
        if last is not None and last is not bad:
            last.keep_alive = False
            self._watch_for_leaving()
            return
        if bad is not None:
            bad.leave()  # type: ignore[attr-defined]
        if bad is None or not bad.response_started:
            self.transport.write(self.refusal(error))
        self.transport.close()
