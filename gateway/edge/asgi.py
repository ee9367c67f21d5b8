"""The ASGI lane: carries out the pipeline's decisions on any ASGI server.

Under the gateway's own uvicorn protocol (`protocol.py`) the scope carries the target exactly as
the client sent it, and interim answers and reason phrases pass too.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

from gateway.edge.lane import Lane, Traffic
from gateway.edge.sockets import Sockets
from gateway.edge.transfer import (
    ClientGone,
    Message,
    ResponseTruncated,
    SessionsEnder,
    Transfer,
    read_whole,
)
from gateway.errors import GatewayError, ShuttingDown
from gateway.forward_auth import Allowed
from gateway.limits import Limiter
from gateway.profiles import Answer
from gateway.proxy import Call, Forward
from gateway.request import RequestHead
from gateway.tokens.jwks import KeysNeeded
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import Exchange

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiLane:
    """An ASGI application (HTTP only) that answers every request by the pipeline.

    `body_timeout` is the idle time between body reads, in seconds; `end_sessions(identity)` is
    awaited before the client hears of a success that ends its sessions; `sockets` opens WebSockets,
    under the gateway's own protocol alone. What the fast lane does too is `shared`.
    """

    def __init__(
        self,
        shared: Lane,
        *,
        body_timeout: float,
        limiter: Limiter,
        end_sessions: SessionsEnder,
        sockets: Sockets,
    ) -> None:
        self.shared = shared
        self._body_timeout = body_timeout
        self._limiter = limiter
        self._end_sessions = end_sessions
        self._sockets = sockets
        self.running = 0  # requests under way here; those of the fast lane are their upstream's

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request_head(scope)
        started = self.shared.clock()
        status, reason, is_open = 499, "", False
        traffic = Traffic()
        request_id = self.shared.begin(request)
        self.running += 1
        try:
            decision = await self._decided(request, request_id)
            if isinstance(decision, Call):
                status = await self._answer_own(decision, receive, send, traffic)
                return
            if isinstance(decision, Allowed):
                await self._limit(decision.forward)
                status = decision.answer.status
                await self._send(decision.answer, request, request_id, send, traffic, is_last=False)
                return
            await self._limit(decision)
            transfer = Transfer(
                decision,
                receive,
                send,
                cors=request.cors,
                body_timeout=self._body_timeout,
                is_exact="gateway.target" in scope,
                end_sessions=self._end_sessions,
                clock=self.shared.clock,
                traffic=traffic,
            )
            try:
                switched = await transfer.run()
            finally:
                status = transfer.status
            if switched is not None:
                is_open = self._open_socket(
                    scope, decision, request, request_id, started, traffic.asked, switched
                )
        except GatewayError as error:
            status, reason = error.status, error.reason
            answer, is_doubtful = self.shared.refusal(error, request)
            await self._send(answer, request, request_id, send, traffic, is_last=is_doubtful)
        except ResponseTruncated as truncated:
            reason = truncated.reason
            raise
        except asyncio.CancelledError:
            reason = ShuttingDown().reason
            raise
        finally:
            self.running -= 1
            scope["gateway.cors"] = request.cors  # for the answer of a defect, or of a stop
            if not is_open:  # else that is told at its end
                self.shared.log(
                    request, request_id, status, reason,
                    started, traffic.asked, traffic.sent, traffic.received,
                )  # fmt: skip

    async def _limit(self, decision: Forward) -> None:
        if (rate := decision.site.rate) is not None:
            who = rate.who(decision.identity, decision.client)
            await self._limiter.admit(rate.route, rate.rate, rate.burst, who, issuer=rate.issuer)

    def _open_socket(
        self,
        scope: Scope,
        decision: Forward,
        request: RequestHead,
        request_id: bytes,
        started: float,
        asked: float,
        switched: tuple[Exchange, UpstreamConnection],
    ) -> bool:
        assert decision.handshake is not None  # or the upstream could not have switched
        # For as long as the socket is open, no credentials are kept.
        told = replace(request, target=request.target.partition(b"?")[0], headers=(), lines=())
        return self._sockets.open(
            scope["gateway.connection"],
            *switched,
            handshake=decision.handshake,
            bearer=decision.identity,
            log=partial(self._log_socket, told, request_id, started, asked),
        )

    def _log_socket(
        self,
        request: RequestHead,
        request_id: bytes,
        started: float,
        asked: float,
        reason: str,
        sent: int,
        received: int,
    ) -> None:
        self.shared.log(request, request_id, 101, reason, started, asked, sent, received)

    async def _decided(self, request: RequestHead, request_id: bytes) -> Forward | Call | Allowed:
        try:
            return self.shared.decide(request, request_id)
        except KeysNeeded as needed:  # the one cold path: an unknown key id
            await needed.refresh()
        try:
            return self.shared.decide(request, request_id)
        except KeysNeeded as needed:
            raise needed.unavailable() from needed

    async def _answer_own(self, call: Call, receive: Receive, send: Send, traffic: Traffic) -> int:
        """Answers what is the gateway's own; returns the status, raises GatewayError."""
        endpoint, body = call.endpoint, b""
        try:
            if not call.admitted.body.is_empty:
                body = await read_whole(
                    receive, limit=endpoint.max_body_size, timeout=self._body_timeout
                )
                traffic.received = len(body)
            answer = await endpoint.answer(call, body)
        except ClientGone:
            return 499
        await self._send(answer, call.request, call.request_id, send, traffic, is_last=False)
        return answer.status

    async def _send(
        self,
        answer: Answer,
        request: RequestHead,
        request_id: bytes,
        send: Send,
        traffic: Traffic,
        *,
        is_last: bool,
    ) -> None:
        body = b"" if request.method == "HEAD" else answer.body
        headers = self.shared.headers_of(answer, request_id, cors=request.cors, is_last=is_last)
        with suppress(OSError):  # the client left before its answer
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            traffic.sent = len(body)


def _request_head(scope: Scope) -> RequestHead:
    target = scope.get("gateway.target")
    if target is None:
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        query = scope["query_string"]
        target = raw_path + b"?" + query if query else raw_path
    client = scope.get("client")
    return RequestHead(
        method=scope["method"],
        target=target,
        path=b"",
        query=b"",
        headers=scope["headers"],
        scheme=scope["scheme"],
        peer=client[0] if client else None,
        http_version=scope["http_version"],
        lines=scope.get("gateway.lines"),
        may_upgrade="gateway.connection" in scope,
    )
