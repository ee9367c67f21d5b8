"""OpenTelemetry: one server span for each sampled request, sent by OTLP/HTTP.

The only door to the extra `otel`, which is imported where an endpoint is set. A span is made when
its request is over, of what is known by then: while a request runs it costs nothing.

Rule: no secret reaches it: of the target only the path, of the fields none.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from gateway import __version__
from gateway.request import RequestHead
from gateway.trace_context import Parent

SIGNAL_PATH = "/v1/traces"
TIMEOUT = 5.0  # seconds for the collector to take a batch
LAST_BATCH = 2.0  # … and for what is left at a stop

_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
)


class Spans:
    """Records spans; `endpoint` is the collector's address, `wall` epoch seconds."""

    def __init__(self, endpoint: str, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._exporter = OTLPSpanExporter(endpoint=signal_url(endpoint), timeout=TIMEOUT)
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled is not told here
            resource=_resource(),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("gateway", __version__)

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
        """One request with a sampled trace is over."""
        trace = request.trace
        assert trace is not None  # asked by who knows
        end = int(self._wall() * 1e9)
        self._ids.trace_id, self._ids.span_id = int(trace.trace_id, 16), int(trace.span_id, 16)
        is_known = request.method in _METHODS
        method = request.method if is_known else "_OTHER"
        attributes: dict[str, str | int | float] = {
            "http.request.method": method,
            "url.scheme": request.scheme,
            "url.path": request.sent_path,
            "http.response.status_code": status,
            "http.response.body.size": sent,
            "http.request.body.size": received,
            "network.protocol.name": "http",
            "network.protocol.version": request.http_version,
            "client.address": request.client or request.peer or "",
            "gateway.request_id": request_id.decode(),
        }
        if not is_known:
            attributes["http.request.method_original"] = request.method
        if request.peer:
            attributes["network.peer.address"] = request.peer
        if request.route:
            attributes["http.route"] = request.route
        if reason:
            attributes["gateway.reason"] = reason
        if upstream is not None:
            attributes["gateway.upstream.duration"] = upstream
        is_failed = status >= 500 or (bool(reason) and status < 400)
        if is_failed:
            attributes["error.type"] = reason or str(status)
        parent = trace.parent
        span = self._tracer.start_span(
            f"{method if is_known else 'HTTP'} {request.route}".rstrip(),
            context=set_span_in_context(NonRecordingSpan(_remote(parent, trace.state)))
            if parent is not None
            else None,
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=[Link(_remote(trace.left, ""))] if trace.left is not None else None,
            start_time=end - int(seconds * 1e9),
        )
        if is_failed:
            span.set_status(StatusCode.ERROR)
        span.end(end)

    async def stop(self) -> None:
        """Sends what is left, for as long as that may take."""
        loop, has_ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self._provider.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(has_ended.set)

        # Not one of the loop's own threads, for which the process would wait.
        threading.Thread(target=end, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(LAST_BATCH):
                await has_ended.wait()
        except TimeoutError:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # gives up the retries


def signal_url(endpoint: str) -> str:
    """Where spans go: below the collector's address, or just there where it names the path."""
    bare = endpoint.rstrip("/")
    return bare if bare.endswith(SIGNAL_PATH) else bare + SIGNAL_PATH


def _resource() -> Resource:
    """Who speaks; $OTEL_SERVICE_NAME and $OTEL_RESOURCE_ATTRIBUTES have the last word."""
    own = Resource({SERVICE_NAME: "gateway", SERVICE_VERSION: __version__})
    return Resource.create({}).merge(own).merge(OTELResourceDetector().detect())


class _GivenIds(IdGenerator):
    """Gives the ids that the upstream was told while the request was under way."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


def _remote(parent: Parent, state: str) -> SpanContext:
    return SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([state]) if state else None,
    )
