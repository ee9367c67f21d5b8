"""The access log: one JSON line a request, written in batches off the request's path.

Rule: no secret reaches it. Of the target only the path is logged, never the query, and of the
bearer only the user id.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quote

BATCH = 64  # lines; a larger flush would hold the loop for too long
DELAY = 0.25  # seconds a line may wait


@dataclass(slots=True)
class Record:
    """What is known of one request when it is over; times on the loop's clock."""

    method: str
    path: str
    client: str
    started: float
    request_id: bytes
    route: str = ""
    status: int = 0
    reason: str = ""
    user: str = ""


class AccessLog:
    """Collects records; `write` gets whole lines. `wall` is the epoch time, `now` the loop's."""

    def __init__(self, write: Callable[[str], object], *, wall: Callable[[], float]) -> None:
        self._write = write
        self._wall = wall
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, record: Record, now: float) -> None:
        lines = self._lines
        lines.append(self._line(record, now))
        if len(lines) >= BATCH:
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

    def _line(self, r: Record, now: float) -> str:
        time = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds")
        return (
            f'{{"time":"{time}","method":{quote(r.method)},"path":{quote(r.path)},'
            f'"status":{r.status},"reason":"{r.reason}","route":{quote(r.route)},'
            f'"client":"{r.client}","user":{quote(r.user)},'
            f'"ms":{(now - r.started) * 1000:.2f},"request_id":"{r.request_id.decode()}"}}'
        )
