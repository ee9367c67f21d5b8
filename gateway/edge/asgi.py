"""The ASGI lane: carries out the pipeline's decisions on any ASGI server.

Under the gateway's own uvicorn protocol (`protocol.py`) the scope carries the target exactly as
the client sent it, and interim answers and reason phrases pass too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from gateway.edge.transfer import (
    ClientGone,
    Message,
    ResponseTruncated,
    SessionsEnder,
    Transfer,
    read_whole,
)
from gateway.errors import GatewayError, RequestRefused, ShuttingDown
from gateway.limits import Limiter
from gateway.profiles import Answer, Profiles
from gateway.proxy import Call, Forward, Proxy
from gateway.request import RequestHead, parse_target
from gateway.telemetry.access_log import AccessLog, Record
from gateway.telemetry.request_id import RequestIds
from gateway.tokens.jwks import KeysNeeded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiLane:
    """An ASGI application (HTTP only) that answers every request by the pipeline.

    `body_timeout` is the idle time between body reads, in seconds; `end_sessions(identity)` is
    awaited before the client hears of a success that ends its sessions.
    """

    def __init__(
        self,
        *,
        proxy: Proxy,
        profiles: Profiles,
        request_ids: RequestIds,
        access_log: AccessLog | None,
        body_timeout: float,
        limiter: Limiter,
        end_sessions: SessionsEnder,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._proxy = proxy
        self._profiles = profiles
        self._request_ids = request_ids
        self._access_log = access_log
        self._body_timeout = body_timeout
        self._limiter = limiter
        self._end_sessions = end_sessions
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request_head(scope)
        started = self._clock()
        status, reason = 499, ""
        if self._proxy.trusts(request.peer):
            request_id = self._request_ids.accept(request.header(b"x-request-id"))
        else:
            request_id = self._request_ids.new()
        try:
            request.path, request.query = parse_target(request.target)
            decision = await self._decide(request, request_id)
            if isinstance(decision, Call):
                status = await self._answer_own(decision, receive, send)
                return
            if decision.identity is not None:
                request.user = decision.identity.user_id
            if (rate := decision.site.rate) is not None:
                who = rate.who(decision)
                await self._limiter.admit(
                    rate.route, rate.rate, rate.burst, who, issuer=rate.issuer
                )
            transfer = Transfer(
                decision,
                receive,
                send,
                body_timeout=self._body_timeout,
                is_exact="gateway.target" in scope,
                end_sessions=self._end_sessions,
            )
            try:
                await transfer.run()
            finally:
                status = transfer.status
        except GatewayError as error:
            status, reason = error.status, error.reason
            await self._answer(error, request, request_id, send)
        except ResponseTruncated as truncated:
            reason = truncated.reason
            raise
        except asyncio.CancelledError:
            reason = ShuttingDown.reason
            raise
        finally:
            if self._access_log is not None:
                self._access_log.add(
                    Record(
                        method=request.method,
                        path=scope["path"],
                        client=request.client or request.peer or "",
                        route=request.route,
                        status=status,
                        reason=reason,
                        user=request.user,
                        seconds=self._clock() - started,
                        request_id=request_id,
                    )
                )

    async def _decide(self, request: RequestHead, request_id: bytes) -> Forward | Call:
        try:
            return self._proxy.decide(request, request_id)
        except KeysNeeded as needed:  # the one cold path: an unknown key id
            await needed.refresh()
        try:
            return self._proxy.decide(request, request_id)
        except KeysNeeded as needed:
            raise needed.unavailable() from needed

    async def _answer_own(self, call: Call, receive: Receive, send: Send) -> int:
        """Answers what is the gateway's own; returns the status, raises GatewayError."""
        endpoint, body = call.endpoint, b""
        try:
            if not call.admitted.body.is_empty:
                body = await read_whole(
                    receive, limit=endpoint.max_body_size, timeout=self._body_timeout
                )
            answer = await endpoint.answer(call, body)
        except ClientGone:
            return 499
        await self._send(answer, call.request, call.request_id, send)
        return answer.status

    async def _answer(
        self, error: GatewayError, request: RequestHead, request_id: bytes, send: Send
    ) -> None:
        is_doubtful = isinstance(error, RequestRefused) and error.status != 413
        # Nothing that follows such a request is to be trusted.
        answer = self._profiles.render(error, request).with_headers(*error.fields)
        await self._send(answer, request, request_id, send, (_CLOSE,) if is_doubtful else ())

    async def _send(
        self,
        answer: Answer,
        request: RequestHead,
        request_id: bytes,
        send: Send,
        more: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        body = b"" if request.method == "HEAD" else answer.body
        headers = [*answer.headers, *more]
        if answer.is_own:
            headers += [(b"date", _date()), (b"x-request-id", request_id)]
        with suppress(OSError):  # the client left before its answer
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def refusal_bytes(self, error: GatewayError) -> bytes:
        """A whole HTTP/1.1 answer, which ends the connection, for what is no request."""
        request_id = self._request_ids.new()
        answer = self._profiles.render(error, _NOTHING)
        lines = [b"HTTP/1.1 %d %b" % (answer.status, HTTPStatus(answer.status).phrase.encode())]
        lines += [b"%b: %b" % field for field in answer.headers]
        lines += [b"date: " + _date(), b"x-request-id: " + request_id, b"connection: close"]
        if self._access_log is not None:
            record = Record(status=answer.status, reason=error.reason, request_id=request_id)
            self._access_log.add(record)
        return b"\r\n".join([*lines, b"", answer.body])


_CLOSE = (b"connection", b"close")
_NOTHING = RequestHead(method="", target=b"", path=b"", query=b"", headers=())


def _date() -> bytes:
    """Now, as the Date field has it (RFC 9110 §6.6.1)."""
    return formatdate(usegmt=True).encode()


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
    )
