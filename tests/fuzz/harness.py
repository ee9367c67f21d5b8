"""The client side of a whole gateway without a socket: bytes in, what two other parsers see out.

The upstream is h11's server role: it answers each request that is whole, and keeps all it is sent.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import h11
from gunicorn.config import Config as GunicornConfig
from gunicorn.http.parser import RequestParser
from uvicorn.server import ServerState

from gateway.app.gateway import Gateway
from gateway.app.worker import edge_settings
from gateway.config import load
from gateway.edge.server import edge_config
from gateway.upstream.connection import UpstreamConnection

CONFIG = """
server: {max_body_size: 64KiB, body_timeout: 5s}
logging: {access_log: false}
upstreams: {app: {servers: ["http://127.0.0.1:9"], max_connections: 4}}
routes: [{path: /, auth: none, upstream: app}]
"""
TURNS = 40  # of the event loop, in which an exchange with nobody to wait for is long over
MOST_HELD = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as a parser sees it."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class _Transport:
    """What both sides write to."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_closed = False
        self.is_paused = False

    def write(self, data: bytes) -> None:
        if not self.is_closed:
            self.written += data
            self.on_write(bytes(data))

    def on_write(self, data: bytes) -> None: ...

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        known = {"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 8080)}
        return known.get(name, default)


class _Upstream(_Transport):
    """Answers whole requests as h11 understands them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scripted: Sequence[bytes] | None) -> None:
        super().__init__()
        self._loop = loop
        self._scripted = scripted
        self._parser = h11.Connection(h11.SERVER)
        self._is_head = False
        self.connection: UpstreamConnection

    def on_write(self, data: bytes) -> None:
        self._parser.receive_data(data)
        while True:
            event = self._parser.next_event()  # raises where h11 can't read what was forwarded
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.EndOfMessage):
                _answer(self._parser)
                if self._parser.our_state is self._parser.their_state is h11.DONE:
                    self._parser.start_next_cycle()
                self._loop.call_soon(self._answer, b"" if self._is_head else b"ok")
            elif isinstance(event, h11.Request):
                self._is_head = event.method == b"HEAD"

    def _answer(self, body: bytes) -> None:
        if self._scripted is not None:
            for piece in (*self._scripted, None):
                self._loop.call_soon(self._send, piece)
        elif not self.is_closed:
            self.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)

    def _send(self, piece: bytes | None) -> None:
        """A piece of the scripted answer; None is its end, and the connection's."""
        if self.is_closed:
            return
        if piece is not None:
            self.connection.data_received(piece)
            return
        self.connection.eof_received()
        self.close()
        self.connection.connection_lost(None)


@dataclass(slots=True)
class Outcome:
    """What became of a client's bytes."""

    answered: bytes
    is_closed: bool
    forwarded: list[bytes] = field(default_factory=list)  # all bytes of each upstream connection
    defects: list[str] = field(default_factory=list)


class _Defects(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self.found.append(f"{record.getMessage()}: {cause!r}")


class Harness:
    """A gateway and its listener's protocol; `run` is one client connection."""

    def __init__(self, directory: Path) -> None:
        file = directory / "config.yaml"
        file.write_text(CONFIG)
        self.loop = asyncio.new_event_loop()
        self._gateway = Gateway(load(file, environ={}).config)
        self._config = edge_config(self._gateway, edge_settings(self._gateway))
        self._config.load()
        self.received: Callable[[bytes], None]  # of the connection that runs
        self._defects = _Defects()
        logging.getLogger("gateway").addHandler(self._defects)

    def close(self) -> None:
        logging.getLogger("gateway").removeHandler(self._defects)
        self.loop.close()

    def run(
        self,
        pieces: Sequence[bytes],
        *,
        is_fast: bool = True,
        scripted: Sequence[bytes] | None = None,
        on_read: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Sends the pieces one after the other, each as one read.

        Where an answer is `scripted`, the upstream sends just that to a request, and hangs up.
        """
        return self.loop.run_until_complete(self._run(pieces, is_fast, scripted, on_read))

    async def _run(
        self,
        pieces: Sequence[bytes],
        is_fast: bool,
        scripted: Sequence[bytes] | None,
        on_read: Callable[[bytes], None] | None,
    ) -> Outcome:
        self._defects.found = []
        upstreams: list[_Upstream] = []
        (server,) = self._gateway.upstreams["app"].servers

        async def opened(loop: object) -> UpstreamConnection:
            transport = _Upstream(self.loop, scripted)
            connection = UpstreamConnection(owner=server, loop=self.loop, answers=server._answers)
            transport.connection = connection
            connection.connection_made(transport)  # type: ignore[arg-type]
            upstreams.append(transport)
            return connection

        server._open = opened  # type: ignore[method-assign]
        client = _Transport()
        state = ServerState()
        made: Any = self._config.http_protocol_class
        protocol = made(config=self._config, server_state=state, app_state={}, _loop=self.loop)
        protocol.is_fast = is_fast
        self.received = protocol.data_received
        protocol.connection_made(client)
        for piece in pieces:
            for _ in range(TURNS):
                if not client.is_paused or client.is_closed:
                    break
                await asyncio.sleep(0)
            if client.is_closed:
                break
            (on_read or self.received)(piece)
            assert len(getattr(protocol, "_held", b"")) <= MOST_HELD
        for _ in range(TURNS):
            await asyncio.sleep(0)
        outcome = Outcome(bytes(client.written), client.is_closed, defects=self._defects.found)
        protocol.connection_lost(None)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        for upstream in upstreams:
            outcome.forwarded.append(bytes(upstream.written))
            if not upstream.connection.is_closed:
                upstream.close()
                upstream.connection.connection_lost(None)
        return outcome


def seen_by_h11(data: bytes) -> tuple[list[Seen], bool]:
    """The whole requests that h11 reads before anything it refuses, and whether it refused."""
    found: list[Seen] = []
    # Empty lines before a request: h11 refuses them, others skip them (RFC 9112 §2.2).
    while data := data.lstrip(b"\r\n"):
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        parser.receive_data(data)
        try:
            request = _whole(parser)
        except h11.RemoteProtocolError:
            return found, True
        if request is None:
            break
        found.append(request)
        if request.method == b"CONNECT":
            break
        _answer(parser)
        if parser.our_state is not h11.DONE:
            break
        data = parser.trailing_data[0]
    return found, False


def _whole(parser: h11.Connection) -> Seen | None:
    body = b""
    head: h11.Request | None = None
    while True:
        match parser.next_event():
            case h11.Request() as head:
                pass
            case h11.Data() as piece:
                body += bytes(piece.data)
            case h11.EndOfMessage():
                assert head is not None
                fields = tuple((bytes(name), bytes(value)) for name, value in head.headers)
                return Seen(bytes(head.method), bytes(head.target), fields, body)
            case _:
                return None


def _answer(parser: h11.Connection) -> None:
    """Lets h11 go on to the next request, if there may be one."""
    parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
    parser.send(h11.EndOfMessage())


def seen_by_gunicorn(data: bytes) -> Iterator[Seen]:
    """The requests as Gunicorn's own parser reads them; raises where it can't."""
    for request in RequestParser(_GUNICORN, iter([data]), ("127.0.0.1", 5000)):
        fields = tuple(
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers
        )
        body = request.body.read()
        target = request.uri.encode("latin-1")
        yield Seen(request.method.encode(), target, fields, body)


def assert_safe(outcome: Outcome, sent: bytes) -> None:
    """What was forwarded is what the client sent, in the eyes of both other parsers."""
    assert not outcome.defects, outcome.defects
    forwarded: list[Seen] = []
    for stream in outcome.forwarded:
        whole, is_refused = seen_by_h11(stream)
        assert not is_refused, stream
        read = list(islice(seen_by_gunicorn(stream), len(whole)))
        assert read == [_without_underscores(request) for request in whole], stream
        forwarded += whole
    forwarded.sort(key=_number)
    # llhttp takes several blanks in a request line (RFC 9112 §3 allows it), and h11 does not. What
    # goes on has one.
    readings = [seen_by_h11(text)[0] for text in (sent, _BLANKS.sub(rb"\1 \2 \3", sent))]
    assert any(_is_among(forwarded, asked) for asked in readings), (forwarded, readings)


def _is_among(forwarded: list[Seen], asked: list[Seen]) -> bool:
    """Whether all that was forwarded was asked, in this order."""
    candidates = iter(asked)
    return all(any(_is_same(request, each) for each in candidates) for request in forwarded)


def _without_underscores(request: Seen) -> Seen:
    """As Gunicorn sees it, which drops such names by default."""
    return replace(
        request, headers=tuple(field for field in request.headers if b"_" not in field[0])
    )


def _number(request: Seen) -> bytes:
    return dict(request.headers)[b"x-request-id"]


def _is_same(forwarded: Seen, sent: Seen) -> bool:
    return (
        (forwarded.method, forwarded.target, forwarded.body)
        == (sent.method, sent.target, sent.body)
    ) and all((name, value) in sent.headers or name in _OURS for name, value in forwarded.headers)


_GUNICORN = GunicornConfig()
_GUNICORN.set("limit_request_fields", 200)  # what the gateway adds may go over its 100: a 400
_BLANKS = re.compile(rb"(?m)^([A-Z]+) +(\S+) +(HTTP/)")
_OURS = (
    b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-proto",
    b"x-forwarded-host", b"forwarded", b"x-request-id",
)  # fmt: skip
