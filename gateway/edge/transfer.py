"""Moves one decided request upstream and its answer back, over ASGI's `receive` and `send`.

Rules
- Bodies stream both ways, neither is gathered; each side is paused while the other is slow.
- An answer may come before the request's body is through: it is passed on, the rest is let go.
- A failure before the head is an error to answer; after it, a truncation that the client sees.
- A retry only where it can't hurt: no byte of an answer came, the method is idempotent, and all
  that was sent is still held.
- The client's leaving frees the upstream connection, but where a success ends sessions: that must
  be learned. Where it can't be, they end too.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.cors import Fields, with_cors
from gateway.edge.lane import Traffic
from gateway.errors import GatewayError, RequestRefused
from gateway.identity import Identity
from gateway.proxy import Forward, too_large
from gateway.request import Body
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import Exchange, Headers
from gateway.upstream.headers import response_headers

Message = MutableMapping[str, Any]
SessionsEnder = Callable[[Identity], Awaitable[None]]


class ClientGone(Exception):
    """The client left before its request was through."""


class ResponseTruncated(Exception):
    """The answer broke off after its head: the server must not end it cleanly."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(str(error))
        self.reason = error.reason


class Transfer:
    """One run of a `Forward`; `status` is what the client was answered, 499 if it left before.
    `is_exact` says that the server beneath is the gateway's own, which takes interim answers and
    a 304 with a Content-Length.
    """

    def __init__(
        self,
        forward: Forward,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        *,
        cors: Fields,
        body_timeout: float,
        is_exact: bool,
        end_sessions: SessionsEnder,
        clock: Callable[[], float],
        traffic: Traffic,
    ) -> None:
        self._end_sessions = end_sessions
        self._forward = forward
        self._cors = cors
        self._receive = receive
        self._send = send
        self._body_timeout = body_timeout
        self._is_exact = is_exact
        self._clock = clock
        self._traffic = traffic
        self._exchange: Exchange | None = None
        self._uploader: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.status = 499

    async def run(self) -> tuple[Exchange, UpstreamConnection] | None:
        """Returns what the caller has to carry on with, where the upstream switched protocols.

        Raises GatewayError before the answer's head, ResponseTruncated after it.
        """
        first, is_whole = b"", True
        try:
            if not self._forward.body.is_empty:
                first, is_whole = await self._read_body()
            exchange, connection = await self._open(first, is_whole)
            if exchange.status == 101:
                return exchange, connection
            try:
                await self._relay(exchange)
            finally:
                if not (exchange.ended and exchange.is_sent):
                    connection.abandon(exchange)
        except (ClientGone, ConnectionError):  # by ASGI, `send` to a client that left raises
            pass
        finally:
            if self._exchange is not None:
                self._exchange.on_long_wait = None  # leaves no cycle to the collector
            for task in (self._uploader, self._watcher):
                if task is not None:
                    task.cancel()
        return None

    async def _open(self, first: bytes, is_whole: bool) -> tuple[Exchange, UpstreamConnection]:
        """Sends the request, and returns when the answer's head is there."""
        forward = self._forward
        upstream = forward.site.upstream
        data = forward.head + framed(forward.body, first, is_last=is_whole)
        connection = upstream.take(forward) or await upstream.connect(forward)
        while True:
            exchange = Exchange(connection.loop, is_sent=is_whole)
            exchange.may_switch = forward.handshake is not None
            exchange.identity = None if forward.ends_sessions else forward.identity
            self._exchange = exchange
            self._traffic.asked = self._clock()
            connection.begin(exchange, data, is_head=forward.is_head, is_whole=is_whole)
            if is_whole:
                exchange.on_long_wait = self._leaving
            else:
                self._uploader = asyncio.create_task(self._upload(exchange, connection))
            try:
                while not exchange.has_head:
                    if exchange.failure is not None:
                        raise exchange.failure
                    if exchange.is_client_gone:
                        raise ClientGone
                    await exchange.news()
                    if exchange.informational:
                        await self._pass_interim(exchange)
            except GatewayError as error:
                connection.abandon(exchange)
                if forward.ends_sessions:  # it may have been done, and only the answer is lost
                    await self._end()
                    raise
                if not (is_whole and forward.may_repeat(error, connection, held=len(first))):
                    raise
                connection = await upstream.connect(forward, lost=connection)
            except BaseException:
                connection.abandon(exchange)
                raise
            else:
                return exchange, connection

    async def _pass_interim(self, exchange: Exchange) -> None:
        interim, exchange.informational = exchange.informational, ()
        for status, headers in interim if self._is_exact else ():
            fields = response_headers(headers)
            await self._send({"type": "gateway.informational", "status": status, "headers": fields})

    async def _relay(self, exchange: Exchange) -> None:
        """Passes the answer on as it comes."""
        headers = response_headers(exchange.headers)
        if self._cors:
            headers = with_cors(headers, self._cors)
        if exchange.status == 204 or (exchange.status == 304 and not self._is_exact):
            headers = without_length(headers)
        self.status = exchange.status
        if self._forward.ends_sessions and 200 <= exchange.status < 300:
            await self._end()
        start = {
            "type": "http.response.start",
            "status": exchange.status,
            "headers": headers,
            "reason": exchange.reason,
        }
        if exchange.ended and self._is_exact:  # it is all here: one message less
            start["body"] = body = exchange.take()
            self._traffic.sent = len(body)
            await self._send(start)
            return
        await self._send(start)
        is_flushed = False
        while True:
            data = exchange.take()
            self._traffic.sent += len(data)
            if exchange.ended:
                await self._send({"type": "http.response.body", "body": data})
                return
            if data or not is_flushed:  # an empty piece lets the head go out alone
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
                is_flushed = True
            if exchange.is_client_gone:
                raise ClientGone
            if exchange.failure is not None:
                raise ResponseTruncated(exchange.failure)
            if not exchange.has_news:
                await exchange.news()

    async def _upload(self, exchange: Exchange, connection: UpstreamConnection) -> None:
        """Sends the rest of the request's body, at the upstream's pace."""
        is_last = False
        try:
            while not is_last:
                data, is_last = await self._read_body()
                connection.send(framed(self._forward.body, data, is_last=is_last))
                exchange.upload_waits(True)
                await connection.drain()
                exchange.upload_waits(False)
        except ClientGone:
            exchange.client_left()
        except GatewayError as error:
            exchange.on_failure(error)
        else:
            exchange.sent()
            connection.finish()
            exchange.on_long_wait = self._leaving

    async def _read_body(self) -> tuple[bytes, bool]:
        """The next piece of the client's body, and whether it is the last."""
        data, is_last = await _read_piece(self._receive, self._body_timeout)
        self._traffic.received += len(data)
        if self._traffic.received > self._forward.site.max_body_size:
            raise too_large()
        return data, is_last

    async def _end(self) -> None:
        """Ends the sessions of the bearer."""
        identity = self._forward.identity
        assert identity is not None  # decided so
        await self._end_sessions(identity)

    @property
    def _leaving(self) -> Callable[[], None] | None:
        """What to do when the answer takes long."""
        return None if self._forward.ends_sessions else self._watch

    def _watch(self) -> None:
        """The answer takes long: from now on notice the client's leaving."""
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._await_leaving())

    async def _await_leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._exchange is not None:
            self._exchange.client_left()


def framed(body: Body, data: bytes, *, is_last: bool) -> bytes:
    """A piece of a request's body, as it goes upstream."""
    if body.length is not None:
        return data
    piece = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return piece + b"0\r\n\r\n" if is_last else piece


def without_length(fields: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that must not tell its length, as 204 (RFC 9110 §8.6)."""
    return [field for field in fields if field[0].lower() != b"content-length"]


async def read_whole(
    receive: Callable[[], Awaitable[Message]], *, limit: int, timeout: float
) -> bytes:
    """The client's whole body; raises RequestRefused over `limit` bytes, or ClientGone."""
    body = bytearray()
    is_last = False
    while not is_last:
        data, is_last = await _read_piece(receive, timeout)
        body += data
        if len(body) > limit:
            raise too_large()
    return bytes(body)


async def _read_piece(
    receive: Callable[[], Awaitable[Message]], timeout: float
) -> tuple[bytes, bool]:
    try:
        async with asyncio.timeout(timeout):
            message = await receive()
    except TimeoutError as error:
        raise RequestRefused(408, "body_timeout", "the request body came too slowly") from error
    if message["type"] != "http.request":
        raise ClientGone
    return message.get("body", b""), not message.get("more_body", False)
