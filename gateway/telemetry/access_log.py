"""The access log: one line a request, JSON or text, written in batches off the request's path.

Rule: no secret reaches it. Of the target only the path is logged, never the query, and of the
bearer only the user id.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quote
from select import PIPE_BUF
from typing import NamedTuple

BATCH = 64  # lines; a larger flush would hold the loop for too long
DELAY = 0.25  # seconds a line may wait


class Record(NamedTuple):
    """What is known of one request when it is over; `reason` is empty where it was forwarded."""

    request_id: bytes
    status: int
    reason: str
    method: str = ""
    path: str = ""
    client: str = ""
    route: str = ""
    user: str = ""
    seconds: float = 0.0


class AccessLog:
    """Collects records; `write` gets whole lines, `form` is json or text, `wall` epoch seconds."""

    def __init__(
        self, write: Callable[[str], object], *, form: str, wall: Callable[[], float]
    ) -> None:
        self._write = write
        self._line = _json_line if form == "json" else _text_line
        self._stamps = _Stamps(wall)
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def close(self) -> None:
        """Writes what there is; what still comes, as of sockets that outlive a reload, at once."""
        self._is_closed = True
        self.flush()

    def add(self, record: Record) -> None:
        lines = self._lines
        lines.append(self._line(record, self._stamps.now()))
        if len(lines) >= BATCH or self._is_closed:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = self._lines, []
            self._write("\n".join(lines) + "\n")


class _Stamps:
    """The time as a log has it (RFC 3339), written anew only where it changed."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._millisecond = -1
        self._second = -1
        self._to_the_second = ""
        self._stamp = ""

    def now(self) -> str:
        millisecond = int(self._wall() * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._to_the_second = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._stamp = f"{self._to_the_second}.{rest:03d}+00:00"
        return self._stamp


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


def _json_line(r: Record, time: str) -> str:
    request_id, status, reason, method, path, client, route, user, seconds = r
    return (
        f'{{"time":"{time}","method":{quote(method)},"path":{quote(path)},'
        f'"status":{status},"reason":"{reason}","route":{quote(route)},'
        f'"client":{quote(client)},"user":{quote(user)},'
        f'"ms":{seconds * 1000:.2f},"request_id":"{request_id.decode()}"}}'
    )


def _text_line(r: Record, time: str) -> str:
    return (
        f"{time} {r.client or '-'} {r.method or '-'} {quote(r.path)} {r.status} {r.reason or '-'} "
        f"route={quote(r.route)} user={quote(r.user)} {r.seconds * 1000:.2f}ms "
        f"{r.request_id.decode()}"
    )
