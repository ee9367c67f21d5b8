"""One whole request and its whole answer, for what the gateway asks an upstream itself.

Rule: what is not idempotent is sent once, on a connection of its own that can't be stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import UpstreamError
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import Exchange
from gateway.upstream.headers import response_headers
from gateway.upstream.pool import Upstream
from gateway.upstream.retrying import is_lost

LARGEST_REPLY = 4 << 20  # bytes: a page of Django's about an error has some hundred thousand


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream's answer; `headers` are those that a client may get."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class _Own:
    """The gateway's own asking, on which somebody's login or refresh depends."""

    is_idempotent: bool
    is_urgent: bool = True


async def call(upstream: Upstream, request: bytes, *, is_idempotent: bool) -> Reply:
    """Sends a whole request, head and body, and gathers the answer.

    Raises UpstreamError, also for an answer over 4 MiB.
    """
    own = _Own(is_idempotent=is_idempotent)
    lost = upstream.take(own) if is_idempotent else None
    if lost is not None:
        try:
            return await _exchange(lost, request)
        except UpstreamError as error:
            if not is_lost(error, lost):
                raise
    return await _exchange(await upstream.connect(own, is_fresh=True, lost=lost), request)


async def _exchange(connection: UpstreamConnection, request: bytes) -> Reply:
    exchange = Exchange(connection.loop, is_sent=True)
    connection.begin(exchange, request, is_head=False, is_whole=True)
    pieces: list[bytes] = []
    size = 0
    try:
        while True:
            pieces.append(exchange.take())
            size += len(pieces[-1])
            if exchange.ended:
                break
            if exchange.failure is not None:
                raise exchange.failure
            if size > LARGEST_REPLY:
                raise UpstreamError.broken("the upstream's answer is too large")
            if not exchange.has_news:
                await exchange.news()
    finally:
        if not exchange.ended:
            connection.abandon(exchange)
    headers = response_headers(exchange.headers)
    return Reply(exchange.status, headers, b"".join(pieces))
