"""How a WebSocket is asked for (RFC 6455 §4): whether a request does, and where its token stands.

Rules
- A page can't set header fields, so a route may name a subprotocol or a query parameter beside
  them. A token found there is moved into the header, judged there, and goes upstream there alone.
- One token in one place: of two, none is picked.
- Nothing but a complete handshake is one; all else is a plain request, and its Upgrade ends here.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.errors import RequestRefused
from gateway.request import RequestHead, field_of

UPGRADE: Final = b"connection: Upgrade\r\nupgrade: websocket\r\n"

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_PROTOCOL = b"sec-websocket-protocol"

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Handshake:
    """A request for a WebSocket; `request` is what is judged and goes upstream.

    `subprotocol` is the one in which the token came: a browser wants its answer to name one of
    those that it offered.
    """

    request: RequestHead
    key: bytes
    subprotocol: bytes | None = None

    def is_met_by(self, headers: Sequence[Field]) -> bool:
        """Whether a 101 with these fields answers this very handshake (RFC 6455 §4.1)."""
        accept = b64encode(sha1(self.key + _GUID, usedforsecurity=False).digest())
        found = {name.lower(): value for name, value in headers}
        return (
            found.get(b"sec-websocket-accept") == accept
            and found.get(b"upgrade", b"").lower() == b"websocket"
            and b"upgrade" in _members(found.get(b"connection", b"").lower())
        )


class WebSocketRule:
    """How WebSockets of one route are asked for.

    `subprotocol` and `query` name the further places of a token; `field_for(token)` is the header
    field in which such a token is judged, and `credentials` are the fields where it may stand else.
    """

    __slots__ = ("_credentials", "_field_for", "_query", "_subprotocol")

    def __init__(
        self,
        *,
        subprotocol: str | None = None,
        query: str | None = None,
        credentials: Collection[bytes] = (),
        field_for: Callable[[bytes], Field] | None = None,
    ) -> None:
        self._subprotocol = subprotocol.encode() if subprotocol else None
        self._query = query.encode() if query else None
        self._credentials = credentials
        self._field_for = field_for

    def read(self, request: RequestHead) -> Handshake | None:
        """The handshake, None for a request that is none.

        Raises RequestRefused for more than one token, and what `field_for` raises.
        """
        key = request.header(b"sec-websocket-key") or b""
        is_handshake = (
            request.method == "GET"
            and request.http_version == "1.1"
            and (request.header(b"upgrade") or b"").lower() == b"websocket"
            and b"upgrade" in _members((request.header(b"connection") or b"").lower())
            and _KEY.fullmatch(key)
        )
        if not is_handshake:
            return None
        protocols, spoken = self._split_protocols(request)
        target, asked = self._split_query(request)
        tokens = [*spoken, *asked]
        if not tokens or self._field_for is None:
            return Handshake(request, key)
        if len(tokens) > 1 or any(name in self._credentials for name, _ in request.headers):
            raise RequestRefused(400, "header_invalid", "more than one token")
        moved = _moved(request, protocols, target, self._field_for(tokens[0]))
        return Handshake(moved, key, self._subprotocol if spoken else None)

    def _split_protocols(self, request: RequestHead) -> tuple[list[bytes], list[bytes]]:
        """The subprotocols without the named one and the token behind it; such tokens."""
        kept: list[bytes] = []
        tokens: list[bytes] = []
        offered = request.header(_PROTOCOL)
        members = iter(_members(offered) if offered is not None else ())
        for member in members:
            if member == self._subprotocol:
                tokens.append(next(members, b""))
            else:
                kept.append(member)
        return kept, tokens

    def _split_query(self, request: RequestHead) -> tuple[bytes, list[bytes]]:
        """The target without the named parameter, else byte for byte; that parameter's values."""
        path, _, query = request.target.partition(b"?")
        kept: list[bytes] = []
        tokens: list[bytes] = []
        for parameter in query.split(b"&") if self._query is not None else ():
            name, _, value = parameter.partition(b"=")
            if unquote_to_bytes(name) == self._query:
                tokens.append(value)
            else:
                kept.append(parameter)
        if not tokens:
            return request.target, []
        return (b"%b?%b" % (path, b"&".join(kept)) if kept else path), tokens


def _moved(
    request: RequestHead, protocols: list[bytes], target: bytes, field: Field
) -> RequestHead:
    """The same request with its token in a header field, and nowhere else."""
    fields = [one for one in request.fields() if one[0][0] != _PROTOCOL]
    if protocols:
        fields.append(field_of(b"Sec-WebSocket-Protocol", b", ".join(protocols)))
    fields.append(field_of(*field))
    _, _, query = target.partition(b"?")
    return replace(request.with_fields(fields), target=target, query=query)


def _members(value: bytes) -> list[bytes]:
    """The members of a list (RFC 9110 §5.6.1)."""
    return [member for part in value.split(b",") if (member := part.strip(b" \t"))]
