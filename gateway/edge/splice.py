"""An open WebSocket: the client's connection and the upstream's, spliced byte for byte.

Rules
- Each side is read no faster than the other takes; nothing is gathered.
- Half of a connection that ends is ended on the other side; a whole one takes the other with it.
- The gateway itself says no more than a Close frame, where one may stand; else it only hangs up.
- An idle socket may stay for ever; one that takes nothing of what waits for it may not.
"""

import asyncio
from collections.abc import Callable

from gateway.edge.cycle import CLIENT_STALL
from gateway.edge.frames import FrameCount, closing_frame

LAST_WORDS = 0.5  # seconds for a peer to answer a Close frame

GOING_AWAY = 1001  # RFC 6455 §7.4.1
POLICY_VIOLATION = 1008


class Splice:
    """One open socket. `on_end(reason)` is called once, when the client's connection is over."""

    __slots__ = ("_on_end", "_reason", "_timer", "client", "is_closing", "upstream")

    def __init__(
        self,
        client: asyncio.Transport,
        upstream: asyncio.Transport,
        *,
        on_end: Callable[[str], None],
    ) -> None:
        self.client = End(self, client, is_upstream=False)
        self.upstream = End(self, upstream, is_upstream=True)
        self.client.peer, self.upstream.peer = self.upstream, self.client
        self.is_closing = False
        self._on_end = on_end
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    def start(self, *, from_client: bytes, from_upstream: bytes, is_client_slow: bool) -> None:
        """From now on the two transports are the splice's, with what came of them before.

        `is_client_slow` says that the client's transport has asked to pause.
        """
        ends = self.client, self.upstream
        now = asyncio.get_running_loop().time()
        self.client.is_full = is_client_slow
        for end in ends:
            end.flushed_since = now
            end.transport.set_protocol(end)
        self.client.data_received(from_client)
        self.upstream.data_received(from_upstream)
        for end in ends:
            if not end.peer.is_full:
                end.transport.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Says goodbye to both sides; nothing that they still say is passed on."""
        if self.is_closing:
            return
        self.is_closing = True
        self._reason = reason
        self._timer = asyncio.get_running_loop().call_later(LAST_WORDS, self.cut, reason)
        self.client.say_goodbye(code)
        self.upstream.say_goodbye(code)

    def cut(self, reason: str) -> None:
        """Ends both connections at once."""
        self.is_closing = True
        self._reason = self._reason or reason
        self.client.transport.abort()
        self.upstream.transport.abort()

    def lost(self, end: "End", exc: Exception | None) -> None:
        """One of the connections is over."""
        other = end.peer.transport
        if end is self.upstream:
            if exc is not None and not self._reason:
                self._reason = "upstream_broken"
            other.close()  # once the client has read what there is
        else:
            if other.get_write_buffer_size():
                other.abort()  # for whom should it be read?
            else:
                other.close()
            self._end()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        on_end, self._on_end = self._on_end, _nothing
        on_end(self._reason)


class End(asyncio.Protocol):
    """One of the two connections of a splice, and what arrives on it."""

    __slots__ = (
        "_flushed", "_frames", "_has_ended", "_is_shut", "_is_upstream", "_splice",
        "flushed_since", "is_full", "peer", "transport", "written",
    )  # fmt: skip

    peer: "End"

    def __init__(self, splice: Splice, transport: asyncio.Transport, *, is_upstream: bool) -> None:
        self.transport = transport
        self._splice = splice
        self._is_upstream = is_upstream
        self._frames = FrameCount()
        self._has_ended = False  # it sends no more
        self._is_shut = False  # … and this side does not
        self.written = self._flushed = 0
        self.flushed_since = 0.0
        self.is_full = False  # it has asked not to be written to for now

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self.transport.write(data)

    def say_goodbye(self, code: int) -> None:
        """A Close frame, if no other frame is under way, and the end of this direction."""
        if self.transport.is_closing():
            return
        if not self._is_shut and self.peer._frames.is_between:
            self.write(closing_frame(code, is_masked=self._is_upstream))
        self._shut()
        self.transport.resume_reading()  # to its end

    def _shut(self) -> None:
        if not (self._is_shut or self.transport.is_closing()):
            self._is_shut = True
            self.transport.write_eof()

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if not self._splice.is_closing:
            self._frames.feed(data)
            self.peer.write(data)

    def eof_received(self) -> bool:
        self._has_ended = True
        self.peer._shut()
        if self.peer._has_ended:
            self.transport.close()
            self.peer.transport.close()
        return True

    def pause_writing(self) -> None:
        self.is_full = True
        if not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._splice.lost(self, exc)

    # The server's side, of the client's end

    def shutdown(self) -> None:
        """The server stops."""
        self._splice.close(GOING_AWAY, "shutting_down")

    def give_up(self) -> None:
        """The graceful stop ran out of time."""
        self._splice.cut("shutting_down")

    def sweep(self, now: float, keep_alive: float) -> None:
        """Ends a socket one side of which takes nothing; idle ones are let be."""
        if self._is_stuck(now) or self.peer._is_stuck(now):
            self._splice.cut("peer_stalled")

    def _is_stuck(self, now: float) -> bool:
        """Whether it has long taken nothing of what waits for it, or not ended its own half."""
        unsent = self.transport.get_write_buffer_size()
        flushed = self.written - unsent
        if not (unsent or self._is_shut) or flushed != self._flushed:
            self._flushed, self.flushed_since = flushed, now
        return now - self.flushed_since > CLIENT_STALL


class Held:
    """Takes the place of the parser behind a request for another protocol: no HTTP follows."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def feed_data(self, data: bytes) -> None:
        self.data += data


def _nothing(reason: str) -> None:
    """Takes the place of a callback that was called."""
