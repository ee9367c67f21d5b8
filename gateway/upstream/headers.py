"""Which header fields cross the gateway, both ways. Pure: bytes in, bytes out.

Rules
- RFC 9110 §7.6.1: hop-by-hop fields end here, with those that `Connection` names.
- What the gateway itself sets is first removed from the client's request in every spelling that
  WSGI folds into one (`X-User-Id`, `x_user_id`); `Connection` can't remove what we set, nor the
  fields that frame or address the message.
- RFC 9112 §6.3: the framing of the request is written anew from what was admitted.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.errors import RequestRefused
from gateway.request import NO_BODY, Body, RequestHead

BODILESS: Final = (204, 304)  # RFC 9112 §6.3: whatever their fields say

HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
        b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip

# What only a proxy may say. Dropped from everybody, then set anew (`forwarded.py`).
FORWARDED: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-request-id"}
)

# What proxies and WSGI servers have believed of clients; believed from trusted proxies alone.
PROXY_CLAIMS: Final = frozenset(
    {
        b"x-real-ip", b"x-original-url", b"x-rewrite-url", b"x-original-host", b"x-script-name",
        b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server", b"x-forwarded-ssl",
        b"x-forwarded-protocol", b"x-forwarded-scheme", b"x-forwarded-path", b"x-forwarded-uri",
        b"x-forwarded-user", b"x-url-scheme", b"front-end-https", b"x-client-ip",
        b"true-client-ip", b"x-cluster-client-ip",
    }
)  # fmt: skip

# These have no honest sender: CGI variables in disguise (httpoxy, SCRIPT_NAME).
NEVER: Final = frozenset({b"proxy", b"script-name", b"path-info", b"remote-user", b"remote-addr"})

_DROP, _CONNECTION, _LENGTH = 1, 2, 3
_KNOWN_NAMES: Final = 2048  # bounds of the memory of seen names: how many, and how long each
_LONGEST_KNOWN_NAME: Final = 64

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def fold(name: bytes) -> bytes:
    """The one spelling of a header name that WSGI servers map to the same environ key."""
    return name.lower().replace(b"_", b"-")


class HeadComposer:
    """Writes the head of an upstream request; one per route, since routes tell different things.

    `removed` are further field names to take from the client's request: those the gateway sets
    there itself, and the credentials where the upstream is not to see them. `judged` are the
    names of credentials that pass once they were judged: in that spelling, and in no other.
    """

    __slots__ = ("_judged", "_kinds", "_trusted_kinds")

    def __init__(self, *, removed: Iterable[bytes] = (), judged: Iterable[bytes] = ()) -> None:
        kinds = dict.fromkeys(
            HOP_BY_HOP | FORWARDED | NEVER | {b"host", b"expect"} | {fold(n) for n in removed},
            _DROP,
        )
        kinds[b"connection"] = _CONNECTION
        kinds[b"content-length"] = _LENGTH
        self._judged = frozenset(map(fold, judged))
        self._trusted_kinds = kinds
        self._kinds = kinds | dict.fromkeys(PROXY_CLAIMS, _DROP)

    def compose(
        self,
        request: RequestHead,
        *,
        host: bytes,
        body: Body,
        added: bytes,
        is_peer_trusted: bool = False,
    ) -> bytes:
        """The upstream request's head, `added` being whole header lines of our own."""
        kinds = self._trusted_kinds if is_peer_trusted else self._kinds
        out = [request.method.encode(), b" ", request.target, b" HTTP/1.1\r\nhost: ", host, b"\r\n"]
        named: set[bytes] | None = None
        for (name, value), line in request.fields():
            kind = kinds.get(name)
            if kind is None:
                kind = self._classify(name, kinds)
            if kind == 0:
                out.append(line)
            elif kind == _CONNECTION and value.lower() not in (b"keep-alive", b"close", b""):
                named = (named or set()) | {fold(n.strip()) for n in value.split(b",")}
        if named:
            return self._without(request, named, host=host, body=body, added=added, kinds=kinds)
        if body.length is None:
            out.append(b"transfer-encoding: chunked\r\n")
        elif body is not NO_BODY:  # an explicit 0 is passed on too
            out.append(b"content-length: %d\r\n" % body.length)
        out += (added, b"\r\n")
        return b"".join(out)

    def _without(
        self,
        request: RequestHead,
        named: set[bytes],
        *,
        host: bytes,
        body: Body,
        added: bytes,
        kinds: dict[bytes, int],
    ) -> bytes:
        """The same head without the fields that the client's Connection named."""
        rest = request.with_fields(
            (field, line)
            for field, line in request.fields()
            if (kinds.get(field[0], 0) != 0 or fold(field[0]) not in named)
            and field[0] != b"connection"
        )
        return self.compose(
            rest, host=host, body=body, added=added,
            is_peer_trusted=kinds is self._trusted_kinds,
        )  # fmt: skip

    def _classify(self, name: bytes, kinds: dict[bytes, int]) -> int:
        if not _TOKEN.fullmatch(name):
            raise RequestRefused(400, "header_invalid", "a header name is not valid")
        folded = fold(name)
        is_claim = folded.startswith(b"x-forwarded-") or folded in PROXY_CLAIMS
        is_disguised = name != folded and (is_claim or folded in self._judged)
        is_unbelieved = is_claim and kinds is self._kinds
        kind = _DROP if kinds.get(folded, 0) or is_disguised or is_unbelieved else 0
        if len(kinds) < _KNOWN_NAMES and len(name) <= _LONGEST_KNOWN_NAME:
            kinds[name] = kind
        return kind


def response_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The upstream's fields that the client gets, in their order and spelling.

    llhttp has refused names that are no tokens and values with control characters.
    """
    passed = []
    named: set[bytes] | None = None
    for field in headers:
        name = field[0]
        kind = _RESPONSE_KINDS.get(name)
        if kind is None:
            kind = _RESPONSE_KINDS.get(name.lower(), 0)
        if kind == 0:
            passed.append(field)
        elif kind == _CONNECTION and field[1].lower() not in (b"keep-alive", b"close"):
            named = (named or set()) | {n.strip().lower() for n in field[1].split(b",")}
    if named:
        named -= _NEVER_NAMED
        passed = [field for field in passed if field[0].lower() not in named]
    return passed


# What an upstream's Connection can't take from its own answer.
_NEVER_NAMED: Final = frozenset(
    {b"content-length", b"content-type", b"set-cookie", b"www-authenticate", b"location"}
)
# The spellings that real servers use, so that the common case is one look-up without .lower().
_PASSED_SPELLINGS = (
    b"Content-Type", b"Content-Length", b"Date", b"Server", b"Vary", b"Allow", b"ETag",
    b"X-Frame-Options", b"X-Content-Type-Options", b"Referrer-Policy", b"Set-Cookie",
    b"Cross-Origin-Opener-Policy", b"Cache-Control", b"Location", b"WWW-Authenticate",
    b"Last-Modified", b"Accept-Ranges", b"Content-Encoding", b"Content-Disposition", b"Expires",
)  # fmt: skip
_RESPONSE_KINDS: Final[dict[bytes, int]] = (
    dict.fromkeys(HOP_BY_HOP, _DROP)
    | {b"connection": _CONNECTION, b"Connection": _CONNECTION, b"Transfer-Encoding": _DROP}
    | dict.fromkeys(_PASSED_SPELLINGS, 0)
    | {name.lower(): 0 for name in _PASSED_SPELLINGS}
)
