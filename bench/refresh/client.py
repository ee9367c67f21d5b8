"""The client, a process of its own: each connection refreshes one chain of tokens after another.

Reads a job from standard input, writes what came of it to standard output, both JSON.

Rules
- A chain goes on with the refresh token of each answer.
- What a server closes is opened anew; a refused chain is over, but after a 503, which is tried
  again with the same token.
"""

import asyncio
import json
import re
import sys
from collections import deque
from time import perf_counter, process_time
from typing import Any, cast

import uvloop

_GRACE_SECONDS = 30
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Run:
    """What all connections share: the chains that wait, until when, and what came so far."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.port: int = job["port"]
        self.head = (
            f"POST {job['path']} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.waiting = deque(token.encode() for token in job["tokens"])
        self.refreshes_each: int = job["refreshes_each"]  # 0: as many as time allows
        self.began = perf_counter()
        self.deadline = self.began + job["seconds"]
        self.latencies: list[float] = []
        self.refused = self.broken = 0
        self.first_refusal = ""

    def result(self) -> dict[str, object]:
        ordered = sorted(self.latencies)
        elapsed = perf_counter() - self.began
        return {
            "refreshes": len(ordered),
            "elapsed": elapsed,
            "p50_ms": 1000 * ordered[len(ordered) // 2] if ordered else 0,
            "p99_ms": 1000 * ordered[int(0.99 * len(ordered))] if ordered else 0,
            "refused": self.refused,
            "broken": self.broken,
            "first_refusal": self.first_refusal,
            "busy": process_time() / elapsed,
        }


class Connection(asyncio.Protocol):
    """One client: one request at a time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._token = run.waiting.popleft()
        self._left = run.refreshes_each
        self._buffer = b""
        self._sent_at = 0.0
        self._is_awaiting = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    async def open(self) -> None:
        try:
            await self._loop.create_connection(lambda: self, "127.0.0.1", self._run.port)
        except OSError as error:
            if not self.ended.done():
                self.ended.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's derive from nothing
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end]
        length = _LENGTH.search(head)
        if length is None:
            self.ended.set_exception(ValueError(f"no Content-Length: {head!r}"))
            return
        end = head_end + 4 + int(length[1])
        if len(self._buffer) < end:
            return
        body, self._buffer = self._buffer[head_end + 4 : end], b""
        self._is_awaiting = False
        self._take(int(head[9:12]), body)
        if self.ended.done():
            return
        if _CLOSES.search(head):
            self._close()
            self._reopen()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_awaiting:
            self._is_awaiting = False
            self._run.broken += 1
            self._reopen()

    def _send(self) -> None:
        assert self._transport is not None
        body = b'{"refresh":"' + self._token + b'"}'
        self._is_awaiting = True
        self._sent_at = perf_counter()
        self._transport.write(self._run.head + b"%d\r\n\r\n" % len(body) + body)

    def _take(self, status: int, body: bytes) -> None:
        """Takes an answer, and decides what comes next, if anything."""
        run, now, is_over = self._run, perf_counter(), False
        if status == 200:
            run.latencies.append(now - self._sent_at)
            self._token = json.loads(body)["refresh"].encode()
            self._left -= 1
            is_over = self._left == 0
        else:
            run.refused += 1
            run.first_refusal = run.first_refusal or f"{status} {body[:200].decode()}"
            is_over = status != 503
        if now >= run.deadline or (is_over and not run.waiting):
            self._close()
            self.ended.set_result(None)
        elif is_over:
            self._token, self._left = run.waiting.popleft(), run.refreshes_each

    def _close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _reopen(self) -> None:
        self._opening = self._loop.create_task(self.open())


async def _refresh_all(job: dict[str, Any]) -> dict[str, object]:
    run = Run(job)
    connections = [Connection(run) for _ in range(min(job["connections"], len(run.waiting)))]
    for connection in connections:
        await connection.open()
    async with asyncio.timeout(job["seconds"] + _GRACE_SECONDS):
        await asyncio.gather(*(connection.ended for connection in connections))
    return run.result()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_refresh_all(json.load(sys.stdin)))))
