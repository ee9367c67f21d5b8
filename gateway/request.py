"""The head of a request as every step of the pipeline sees it, and the one reading of its target.

Rules
- The path that routes is the path that Django will see: percent-decoded exactly once.
- The target goes upstream byte for byte; what two servers could read differently is refused.
- RFC 9112 §3.2: origin form only.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.errors import RequestRefused
from gateway.trace_context import TraceContext

# One pass over the ordinary case: no escapes, no dot segments, no empty segments.
_PLAIN_PATH = re.compile(rb"(?:/(?!\.{1,2}(?:[/;]|$))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NEVER_IN_TARGET = re.compile(rb"[\x00-\x20\x7f#]")
_NEVER_IN_PATH = re.compile(rb"[\x80-\xff\\]")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_DOT_SEGMENT = re.compile(rb"[/\\]\.{1,2}(?:[/\\;]|$)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Body:
    """How a request's body is framed: `length` bytes, or chunked (`length` None)."""

    length: int | None

    @property
    def is_empty(self) -> bool:
        return self.length == 0


UNIX_PEER: Final = ""  # a unix socket's peers have no address
NO_BODY: Final = Body(0)  # no framing field at all, unlike an explicit length of 0


@dataclass(slots=True)
class RequestHead:
    """One request's head.

    `target` is what stands in the request line, `path` its path percent-decoded once (bytes, as
    Django's resolver sees it), `query` the bytes behind the first `?`. Header names are in lower
    case; `lines` are the fields as they go on, in the client's spelling where that is known.
    `peer` is the address of the connection, `UNIX_PEER` behind a unix socket, None where it is not
    known. `may_upgrade` says that the client asks for another protocol, on a connection that can be
    given to it. `cors` is what the answer says of it, once that is known; nothing where no route
    says so. `user`, `session` (its id) and `trace` are for who observes.
    """

    method: str
    target: bytes
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    scheme: str = "http"
    peer: str | None = None
    http_version: str = "1.1"
    client: str = ""
    route: str = ""
    user: str = ""
    lines: Sequence[bytes] | None = None
    may_upgrade: bool = False
    cors: tuple[tuple[bytes, bytes], ...] = ()
    session: str = ""
    trace: TraceContext | None = None

    def note_user(self, user: str) -> None:
        """For the access log: who the request turned out to come from."""
        self.user = user

    def with_fields(self, fields: Iterable[tuple[tuple[bytes, bytes], bytes]]) -> "RequestHead":
        """The same with these header fields, each beside its line (see `fields`)."""
        kept = list(fields)
        return replace(self, headers=[field for field, _ in kept], lines=[line for _, line in kept])

    def fields(self) -> Iterator[tuple[tuple[bytes, bytes], bytes]]:
        """Each header field beside the line that it goes on as."""
        if self.lines is None:
            return ((field, b"%b: %b\r\n" % field) for field in self.headers)
        return zip(self.headers, self.lines, strict=True)

    def header(self, name: bytes) -> bytes | None:
        """The field's value, or None; several lines are joined by a comma as WSGI servers do."""
        found: bytes | None = None
        for key, value in self.headers:
            if key == name:
                found = value if found is None else found + b"," + value
        return found

    @property
    def sent_path(self) -> str:
        """The path as it was sent."""
        return self.target.partition(b"?")[0].decode("latin-1")

    @property
    def is_preflight(self) -> bool:
        """A CORS preflight (Fetch §3.2.2), which browsers send without credentials."""
        return (
            self.method == "OPTIONS" and self.header(b"access-control-request-method") is not None
        )


def field_of(name: bytes, value: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    """A field as `RequestHead.fields` has it, spelled like this."""
    return (name.lower(), value), b"%b: %b\r\n" % (name, value)


def parse_target(target: bytes) -> tuple[bytes, bytes]:
    """The decoded path and the raw query of a request target in origin form.

    Raises RequestRefused (400) where another reader could see another path: absolute or asterisk
    form, control characters, broken escapes, dot segments, backslashes, fragments.
    """
    raw_path, _, query = target.partition(b"?")
    if _PLAIN_PATH.fullmatch(raw_path) and raw_path:
        if query and _NEVER_IN_TARGET.search(query):
            raise _invalid("the query contains characters that must be percent-encoded")
        return raw_path, query
    if not raw_path.startswith(b"/"):
        raise _invalid("the request target must be a path")
    if _NEVER_IN_TARGET.search(target) or _NEVER_IN_PATH.search(raw_path):
        raise _invalid("the path contains characters that must be percent-encoded")
    if _BROKEN_ESCAPE.search(raw_path):
        raise _invalid("the path contains a broken percent-encoding")
    path = unquote_to_bytes(raw_path)
    if _CONTROL.search(path):
        raise _invalid("the path contains control characters")
    if _DOT_SEGMENT.search(path):
        raise _invalid("the path contains dot segments")
    return path, query


def simplified(path: bytes) -> bytes | None:
    """The path as a server that merges slashes would read it, None where that is no other path."""
    if b"//" not in path and b"\\" not in path:
        return None
    return re.sub(rb"[/\\]+", b"/", path)


def host_name(host: bytes | None) -> str:
    """The name that routes: lower case, without port and trailing dot; empty for no Host."""
    if host is None:
        return ""
    text = host.decode("ascii").lower()
    if text.startswith("["):
        return text[1 : text.index("]")]
    return text.partition(":")[0].rstrip(".")


def is_valid_host(value: bytes) -> bool:
    """Whether this is a host name or address with an optional port (RFC 9110 §7.2)."""
    return _HOST.fullmatch(value) is not None


def _invalid(detail: str) -> RequestRefused:
    return RequestRefused(400, "path_invalid", detail)
