"""The access log: one line a request, JSON or text, written in batches off the request's path.

Rule: no secret reaches it. Of the target only the path is logged, never the query, and of the
bearer only the user id, and of the session a part of its id's hash.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quote
from select import PIPE_BUF

from gateway.request import RequestHead
from gateway.trace_context import followed

BATCH = 64  # lines; a larger one would hold the loop for too long
DELAY = 0.25  # seconds a line may wait
SHORT = 12  # hex digits of a session's hash: enough to tell sessions apart, and to say

_KNOWN = 8192  # who asked what is remembered, in the words of a line


# By %, not as f-strings: compiled, these look up how a number is formatted each time.
_JSON = (
    '{"time":"%s","method":%s,"path":%s,"status":%d,"reason":"%s",%s,"ms":%.2f,"upstream_ms":%s,'
    '"bytes":%d,"request_bytes":%d,"request_id":"%s","trace_id":"%s"}\n'
)
_TEXT = "%s %s %s %s %d %s %s %.2fms upstream=%s bytes=%d request_bytes=%d %s trace=%s\n"

# When it was over (epoch seconds), and what `AccessLog.add` was told.
_Entry = tuple[float, RequestHead, bytes, int, str, float, float | None, int, int]


class AccessLog:
    """Collects what is over; `write` gets whole lines in `form`, `wall` gives epoch seconds.

    A batch is worded as a whole when it is written: one line between two requests would cost half
    as much again, since each would find the processor's caches full of other things.
    """

    def __init__(
        self, write: Callable[[str], object], *, form: str, wall: Callable[[], float]
    ) -> None:
        self._write = write
        self._is_json = form == "json"
        self._wall = wall
        self._known: dict[tuple[str, str, str, str], str] = {}
        self._stamps = _Stamps()
        self._entries: list[_Entry] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def close(self) -> None:
        """Writes what there is; what still comes, as of sockets that outlive a reload, at once."""
        self._is_closed = True
        self.flush()

    def add(
        self,
        request: RequestHead,
        request_id: bytes,
        status: int,
        reason: str,
        seconds: float,
        upstream: float | None,
        sent: int,
        received: int,
    ) -> None:
        """One request is over; `reason` is empty where it was forwarded.

        `upstream` is for how many of the `seconds` it was the upstream's, None where it never was;
        `sent` and `received` are bytes of bodies, by the client's connection.
        """
        entries = self._entries
        entries.append(
            (self._wall(), request, request_id, status, reason, seconds, upstream, sent, received)
        )
        if len(entries) >= BATCH or self._is_closed:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._entries:
            entries, self._entries = self._entries, []
            self._write(self._as_json(entries) if self._is_json else self._as_text(entries))

    def _as_json(self, entries: list[_Entry]) -> str:
        stamp, known, words = self._stamps.of, self._known, list[object]()
        for at, request, request_id, status, reason, seconds, upstream, sent, received in entries:
            key = request.route, request.client or request.peer or "", request.user, request.session
            words += (
                stamp(at), quote(request.method), quote(request.sent_path), status, reason,
                known.get(key) or self._learn(key), seconds * 1000,
                "null" if upstream is None else "%.2f" % (upstream * 1000),
                sent, received, request_id.decode(), _trace_of(request),
            )  # fmt: skip
        return _JSON * len(entries) % tuple(words)

    def _as_text(self, entries: list[_Entry]) -> str:
        stamp, known, words = self._stamps.of, self._known, list[object]()
        for at, request, request_id, status, reason, seconds, upstream, sent, received in entries:
            key = request.route, request.client or request.peer or "", request.user, request.session
            words += (
                stamp(at), key[1] or "-", request.method or "-", quote(request.sent_path), status,
                reason or "-", known.get(key) or self._learn(key), seconds * 1000,
                "-" if upstream is None else "%.2fms" % (upstream * 1000),
                sent, received, request_id.decode(), _trace_of(request) or "-",
            )  # fmt: skip
        return _TEXT * len(entries) % tuple(words)

    def _learn(self, key: tuple[str, str, str, str]) -> str:
        """How a line has who asked, of the same ones as often."""
        if len(self._known) >= _KNOWN:
            self._known.clear()
        route, client, user, session = key
        short = short_hash(session) if session else ""
        if self._is_json:
            who = (
                f'"route":{quote(route)},"client":{quote(client)},'
                f'"user":{quote(user)},"session":"{short}"'
            )
        else:
            who = f"route={quote(route)} user={quote(user)} session={short or '-'}"
        self._known[key] = who
        return who


class _Stamps:
    """The time as a log has it (RFC 3339), worded anew only where it changed."""

    def __init__(self) -> None:
        self._millisecond = -1
        self._second = -1
        self._to_the_second = ""
        self._stamp = ""

    def of(self, at: float) -> str:
        millisecond = int(at * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._to_the_second = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._stamp = f"{self._to_the_second}.{rest:03d}+00:00"
        return self._stamp


def _trace_of(request: RequestHead) -> str:
    """The trace that the upstream was told of; the client's where the gateway takes no part."""
    trace = request.trace
    if trace is None and (said := request.header(b"traceparent")) is not None:
        trace = followed(said)
    return "" if trace is None else trace.trace_id


def to_stdout(lines: str) -> None:
    """Writes whole lines at once; a log that nobody takes must not fail a request."""
    with suppress(OSError):
        sys.stdout.write(lines)
        sys.stdout.flush()


def to_shared_stdout(lines: str) -> None:
    """As `to_stdout`, where several processes write: in pieces that a pipe takes whole.

    Only a line that is longer by itself may be torn.
    """
    piece = ""
    for line in lines.split("\n")[:-1]:
        if len(piece) + len(line) >= PIPE_BUF:
            to_stdout(piece)
            piece = ""
        piece += line + "\n"
    to_stdout(piece)


def short_hash(session: str) -> str:
    """What the log has for a session's id: `printf %s ID | sha256sum | cut -c 1-12`."""
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()[:SHORT]
