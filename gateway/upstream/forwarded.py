"""Who the client is, and how the upstream is told: X-Forwarded-*, Forwarded (RFC 7239).

Believed from `trusted_proxies` alone, and from whoever may open the gateway's unix socket; read
right to left: the first address from the right that is no trusted proxy is the client. Everything
else a client says of itself is replaced.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.request import UNIX_PEER, RequestHead, is_valid_host

MAX_HOPS = 32
_MEMORY = 4096  # bound of the remembered answers


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from, which host it asked, and the lines that tell the upstream."""

    address: str
    host: bytes
    is_peer_trusted: bool
    lines: bytes


class ForwardedPolicy:
    """Reads and writes the forwarding headers; `trusted` are CIDRs of believed proxies."""

    __slots__ = ("_known", "_trusted", "_verdicts")

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = tuple(ipaddress.ip_network(cidr, strict=False) for cidr in trusted)
        self._verdicts: dict[str, bool] = {}
        self._known: dict[tuple[str | None, bytes, str], Client] = {}

    def trusts(self, address: str | None) -> bool:
        """Whether what this peer says of its clients is believed."""
        if address == UNIX_PEER:
            return True  # the mode of the socket's file says who may connect
        if not self._trusted or address is None:
            return False
        verdict = self._verdicts.get(address)
        if verdict is None:
            verdict = self._is_member(address)
            if len(self._verdicts) >= _MEMORY:
                self._verdicts.clear()
            self._verdicts[address] = verdict
        return verdict

    def _is_member(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._trusted)

    def client_of(self, request: RequestHead, host: bytes) -> Client:
        """The client of this request and the lines to forward."""
        peer = request.peer
        if self.trusts(peer):
            return self._from_proxy(request, host)
        key = (peer, host, request.scheme)
        client = self._known.get(key)
        if client is None:
            client = Client(
                address=peer or "",
                host=host,
                is_peer_trusted=False,
                lines=_lines([], peer, host=host, proto=request.scheme, elements=[]),
            )
            if len(self._known) >= _MEMORY:
                self._known.clear()
            self._known[key] = client
        return client

    def _from_proxy(self, request: RequestHead, host: bytes) -> Client:
        chain = _addresses(request.header(b"x-forwarded-for"))
        elements = _split(request.header(b"forwarded"))
        proto = (_split(request.header(b"x-forwarded-proto")) or [b""])[-1].lower()
        said_host = (_split(request.header(b"x-forwarded-host")) or [b""])[-1]
        asked_host = said_host if is_valid_host(said_host) else host
        return Client(
            address=self._rightmost_untrusted(chain or _forwarded_for(elements), request.peer),
            host=asked_host,
            is_peer_trusted=True,
            lines=_lines(
                chain,
                request.peer,
                host=asked_host,
                proto=proto.decode() if proto in (b"http", b"https") else request.scheme,
                elements=elements,
            ),
        )

    def _rightmost_untrusted(self, chain: list[str], peer: str | None) -> str:
        for address in reversed(chain):
            if not self.trusts(address):
                return address
        return chain[0] if chain else peer or ""


def _lines(
    chain: list[str], peer: str | None, *, host: bytes, proto: str, elements: list[bytes]
) -> bytes:
    addresses = ", ".join([*chain, *([peer] if peer else [])]).encode()
    node = f'"[{peer}]"' if peer and ":" in peer else peer or "unknown"
    element = b'for=%b;host="%b";proto=%b' % (node.encode(), host, proto.encode())
    lines = [
        b"x-forwarded-for: %b\r\n" % addresses if addresses else b"",
        b"x-forwarded-proto: %b\r\n" % proto.encode(),
        b"x-forwarded-host: %b\r\n" % host,
        b"forwarded: %b\r\n" % b", ".join([*elements, element]),
    ]
    return b"".join(lines)


def _split(value: bytes | None) -> list[bytes]:
    """The members of a list from the right, as many as there may be honest hops."""
    pieces = (value or b"").rsplit(b",", MAX_HOPS)[-MAX_HOPS:]
    return [part for piece in pieces if (part := piece.strip())]


def _addresses(value: bytes | None) -> list[str]:
    """The valid addresses of an X-Forwarded-For from the right, up to the first that is none."""
    found: list[str] = []
    for part in reversed(_split(value)):
        address = _address(part.decode("latin-1"))
        if address is None:
            break
        found.append(address)
    return found[::-1]


def _forwarded_for(elements: list[bytes]) -> list[str]:
    found: list[str] = []
    for element in reversed(elements):
        pairs = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (p.partition("=") for p in element.decode("latin-1").split(";"))
        }
        address = _address(pairs.get("for", ""))
        if address is None:
            break
        found.append(address)
    return found[::-1]


def _address(text: str) -> str | None:
    """An IP address, with or without brackets and port, in its plain form."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
