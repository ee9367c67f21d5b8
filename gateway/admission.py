"""What a request's head must be like for anything else to look at it: one pass over its fields.

Rules
- RFC 9112 §3.2: exactly one valid Host (an HTTP/1.0 request may have none).
- RFC 9112 §6.3: no framing of the body that two parsers could read differently.
- RFC 9110 §9.3.6, §9.3.8, RFC 9113 §3.1: CONNECT, TRACE and h2c are never passed on.
- Sizes are bounded.
"""

from dataclasses import dataclass

from gateway.errors import RequestRefused
from gateway.request import NO_BODY, Body, RequestHead, host_name, is_valid_host

REFUSED_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})
_KNOWN_HOSTS = 4096  # bound of the memory of valid Hosts


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How much a client may send, in bytes and fields."""

    url: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100


@dataclass(slots=True)
class Admitted:
    """What stands in an admitted head: its Host as sent, the name that routes, its body."""

    host: bytes | None
    host_name: str
    body: Body


class Admission:
    """Admits heads within `limits`."""

    __slots__ = ("_limits", "_names")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._names: dict[bytes, str] = {}

    def admit(self, request: RequestHead) -> Admitted:
        """Raises RequestRefused: 400, 405, 414, 431."""
        limits = self._limits
        if len(request.target) > limits.url:
            raise RequestRefused(414, "url_too_long", "the request target is too long")
        if len(request.headers) > limits.fields:
            raise RequestRefused(431, "header_too_large", "too many header fields")
        if request.method in REFUSED_METHODS:
            raise RequestRefused(405, "method_refused", "this method is never forwarded")
        size = 0
        host: bytes | None = None
        body = NO_BODY
        for field, value in request.headers:
            size += len(field) + len(value) + 4
            if field == b"host":
                if host is not None:
                    raise RequestRefused(400, "host_invalid", "more than one Host header")
                host = value
            elif field == b"content-length":
                body = _with_length(value, body)
            elif field == b"transfer-encoding":
                body = _chunked(request, value, body)
            elif field == b"upgrade" and b"h2c" in value.lower():
                raise RequestRefused(400, "upgrade_refused", "an upgrade to h2c is never made")
        if size > limits.head:
            raise RequestRefused(431, "header_too_large", "the header fields are too large")
        if host is None:
            if request.http_version != "1.0":
                raise RequestRefused(400, "host_invalid", "the Host header is missing")
            return Admitted(None, "", body)
        name = self._names.get(host)
        if name is None:
            name = self._learn(host)
        return Admitted(host, name, body)

    def _learn(self, host: bytes) -> str:
        if not is_valid_host(host):
            raise RequestRefused(400, "host_invalid", "the Host header is not valid")
        if len(self._names) >= _KNOWN_HOSTS:
            self._names.clear()
        name = self._names[host] = host_name(host)
        return name


def _with_length(value: bytes, before: Body) -> Body:
    if before is not NO_BODY or not value.isdigit() or len(value) > 18:
        raise RequestRefused(400, "framing_invalid", "the Content-Length is not valid")
    return Body(int(value))


def _chunked(request: RequestHead, value: bytes, before: Body) -> Body:
    if before is not NO_BODY or value.lower() != b"chunked" or request.http_version == "1.0":
        raise RequestRefused(400, "framing_invalid", "the Transfer-Encoding is not valid")
    return Body(None)
