"""A collector of spans: takes what comes by OTLP/HTTP, and decodes it."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE = 30  # seconds


class Collector:
    """Runs on a port of its own until `close`; spans by name of the path that was asked."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.paths: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def span_of(self, path: str) -> Span:
        """The one span of a request for this path, once it is here."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: bool(self._found(path)), PATIENCE)
            (span,) = self._found(path)
            return span

    def has(self, path: str) -> bool:
        with self._arrived:
            return bool(self._found(path))

    def _found(self, path: str) -> list[Span]:
        return [span for span in self._spans if attributes(span)["url.path"] == path]

    def _take(self, path: str, message: ExportTraceServiceRequest) -> None:
        with self._arrived:
            self.paths.add(path)
            for resource in message.resource_spans:
                self.resources.append(attributes(resource.resource))
                self._spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._arrived.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take: Callable[[str, ExportTraceServiceRequest], None] = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = ExportTraceServiceRequest()
                message.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                take(self.path, message)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read what was taken."""

        return Handler


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span or a resource."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in of.attributes}
