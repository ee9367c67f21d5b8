"""What both lanes do alike: they decide by the pipeline, word refusals, and log what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from gateway.cors import Fields, with_cors
from gateway.edge.client_head import whole_answer
from gateway.errors import GatewayError, RequestRefused
from gateway.forward_auth import Allowed, ForwardAuth, asks
from gateway.profiles import Answer, Profiles
from gateway.proxy import Call, Forward, Proxy
from gateway.request import RequestHead, parse_target
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.request_id import RequestIds
from gateway.telemetry.request_metrics import RequestMetrics
from gateway.trace_context import TraceStarter

if TYPE_CHECKING:
    from gateway.telemetry.tracing import Spans  # needs an extra

Headers = list[tuple[bytes, bytes]]

_OWN: Final = b"/_gateway"
_CLOSE = (b"connection", b"close")
_NOTHING: Final = RequestHead(method="", target=b"", path=b"", query=b"", headers=())


@dataclass(slots=True)
class Traffic:
    """How much moved, and since when: see `Lane.log`."""

    asked: float = 0.0
    sent: int = 0
    received: int = 0


class Lane:
    """Decides requests, counts and logs them; how bytes move is each lane's own.

    Without `traces` and `spans` the gateway takes no part in tracing.
    """

    def __init__(
        self,
        *,
        proxy: Proxy,
        profiles: Profiles,
        request_ids: RequestIds,
        access_log: AccessLog | None,
        metrics: RequestMetrics,
        traces: TraceStarter | None = None,
        spans: "Spans | None" = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._proxy = proxy
        self._forward_auth = ForwardAuth(proxy)
        self._profiles = profiles
        self._request_ids = request_ids
        self._access_log = access_log
        self._metrics = metrics
        self._traces = traces
        self._spans = spans
        self.clock = clock

    def begin(self, request: RequestHead) -> bytes:
        """Gives a request its place in a trace, and its id: a trusted proxy's, else a new one."""
        is_trusted = self._proxy.trusts(request.peer)
        if self._traces is not None:
            request.trace = self._traces.begin(
                request.header(b"traceparent"),
                request.header(b"tracestate"),
                is_peer_trusted=is_trusted,
            )
        if is_trusted:
            return self._request_ids.accept(request.header(b"x-request-id"))
        return self._request_ids.new()

    def decide(self, request: RequestHead, request_id: bytes) -> Forward | Call | Allowed:
        """What to do with this request; raises GatewayError, or KeysNeeded (the one cold path)."""
        request.path, request.query = parse_target(request.target)
        if request.path.startswith(_OWN) and asks(request):
            return self._forward_auth.decide(request, request_id)
        decision = self._proxy.decide(request, request_id)
        if isinstance(decision, Forward) and decision.identity is not None:
            request.user = decision.identity.user_id
            request.session = decision.identity.session_id or ""
        return decision

    def refusal(self, error: GatewayError, request: RequestHead) -> tuple[Answer, bool]:
        """What to answer, and whether nothing that follows on the connection is to be trusted."""
        is_doubtful = isinstance(error, RequestRefused) and error.status not in (403, 413)
        return self._profiles.render(error, request).with_headers(*error.fields), is_doubtful

    def headers_of(
        self, answer: Answer, request_id: bytes, *, cors: Fields, is_last: bool
    ) -> Headers:
        """The fields of an answer that the gateway gives itself."""
        headers = with_cors(answer.headers, cors) if cors else [*answer.headers]
        if is_last:
            headers.append(_CLOSE)
        if answer.is_own:
            headers += [(b"date", _date()), (b"x-request-id", request_id)]
        return headers

    def refusal_bytes(self, error: GatewayError, cors: Fields = ()) -> bytes:
        """A whole HTTP/1.1 answer, which ends the connection, for what is no request any more."""
        request_id = self._request_ids.new()
        answer = self._profiles.render(error, _NOTHING)
        self._metrics.count("", "", answer.status, error.reason, 0.0)
        if self._access_log is not None:
            self._access_log.add(
                _NOTHING, request_id, answer.status, error.reason, 0.0, None, len(answer.body), 0
            )
        headers = self.headers_of(answer, request_id, cors=cors, is_last=True)
        return whole_answer(answer.status, headers, answer.body)

    def log(  # by position: names would cost a part of all that logging does
        self,
        request: RequestHead,
        request_id: bytes,
        status: int,
        reason: str,
        started: float,
        asked: float,
        sent: int,
        received: int,
    ) -> None:
        """One request is over; by `clock`, it `started`, and the upstream was `asked`, 0 if never.

        `sent` and `received` are bytes of bodies, by the client's connection.
        """
        now = self.clock()
        seconds, upstream = now - started, now - asked if asked else None
        self._metrics.count(request.route, request.method, status, reason, seconds)
        if self._access_log is not None:
            self._access_log.add(
                request, request_id, status, reason, seconds, upstream, sent, received
            )
        if self._spans is not None and request.trace is not None and request.trace.is_sampled:
            self._spans.add(request, request_id, status, reason, seconds, upstream, sent, received)


def _date() -> bytes:
    """Now, as the Date field has it (RFC 9110 §6.6.1)."""
    return formatdate(usegmt=True).encode()
