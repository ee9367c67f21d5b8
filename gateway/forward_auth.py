"""Forward-auth: a proxy in front moves the bytes, and asks here whether each request may pass.

Rules
- Trusted proxies alone may ask, and the request that they tell of is decided by the pipeline that
  decides proxied requests.
- What only the gateway can carry out is refused as `gateway_needed`: its own endpoints, and
  requests whose success ends sessions. The proxy gives it to the gateway whole.
- A permission tells every identity field of the upstream, and which ones it has no value for, so
  that none of the client's own is left.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import RequestRefused
from gateway.profiles import Answer
from gateway.proxy import Call, Forward, Proxy
from gateway.request import RequestHead, parse_target
from gateway.upstream.identity import IdentityMode, Minted

AUTHZ: Final = b"/_gateway/authz"

# Envoy's word for fields that it is to take from the client's request.
_TO_REMOVE: Final = b"x-envoy-auth-headers-to-remove"
_METHOD = re.compile(rb"[A-Z][A-Z-]{0,31}")
# What frames and addresses the question itself, and what tells of the request asked about.
_OF_QUESTION: Final = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"x-forwarded-method",
        b"x-forwarded-uri", b"upgrade", b"connection",
    }
)  # fmt: skip
_NO_STORE: Final = (b"cache-control", b"no-store")


@dataclass(slots=True)
class Allowed:
    """A decision that the request asked about may pass, and the answer that says so."""

    forward: Forward
    answer: Answer


class ForwardAuth:
    """Decides requests that another proxy asks about, by the same pipeline."""

    __slots__ = ("_proxy",)

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def decide(self, request: RequestHead, request_id: bytes) -> Allowed:
        """Raises GatewayError as the pipeline does; `request` gets what was found out of it."""
        if not self._proxy.trusts(request.peer):
            raise RequestRefused(
                403, "peer_untrusted", "only proxies in server.trusted_proxies may ask this"
            )
        asked = told_of(request)
        request.query = b""
        asked.path, asked.query = parse_target(asked.target)
        request.query = asked.query  # a format that it asks for words the refusal
        try:
            decision = self._proxy.decide(asked, request_id)
        finally:
            request.route, request.client, request.cors = asked.route, asked.client, asked.cors
        if isinstance(decision, Call) or decision.ends_sessions:
            raise RequestRefused(403, "gateway_needed", "this request has to pass the gateway")
        if decision.identity is not None:
            request.user = decision.identity.user_id
            request.session = decision.identity.session_id or ""
        return Allowed(decision, _permission(decision))


def asks(request: RequestHead) -> bool:
    """Whether this is a proxy's question."""
    return request.path == AUTHZ or request.target.startswith(AUTHZ + b"/")


def told_of(request: RequestHead) -> RequestHead:
    """The request that a proxy tells of: by X-Forwarded-Method, -Uri and -Host, or, as Envoy does,
    by its own target behind the endpoint's path.

    Raises RequestRefused (400) where that is not told, or told twice.
    """
    method = target = host = own_host = None
    for name, value in request.headers:
        if name == b"x-forwarded-method":
            method = _once(method, value)
        elif name == b"x-forwarded-uri":
            target = _once(target, value)
        elif name == b"x-forwarded-host":
            host = value
        elif name == b"host":
            own_host = _once(own_host, value)
        elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            raise RequestRefused(400, "framing_invalid", "a question has no body")
    behind = request.target[len(AUTHZ) :]
    if behind.startswith(b"/"):
        method, target, host = request.method.encode(), behind, None
    if method is None or target is None or _METHOD.fullmatch(method) is None:
        raise _untold()
    headers = [field for field in request.headers if field[0] not in _OF_QUESTION]
    asked_host = own_host if host is None else host.rpartition(b",")[2].strip()
    if asked_host is not None:
        headers.append((b"host", asked_host))
    return RequestHead(
        method.decode(), target, b"", b"", headers, request.scheme, request.peer, "1.1"
    )


def _permission(forward: Forward) -> Answer:
    """A 200 with the identity fields, as the upstream's `identity` has them."""
    site = forward.site
    mode = site.identity_mode
    fields = _fields(mode, mode.lines(forward.identity)) if mode.removed else []
    if site.rate is not None or isinstance(mode, Minted):
        fields.append(_NO_STORE)  # each one counts; and a token is kept by nobody
    return Answer(200, (*fields, (b"content-length", b"0")), b"")


def _fields(mode: IdentityMode, lines: bytes) -> list[tuple[bytes, bytes]]:
    """The lines as fields, and the names that this bearer has no value for."""
    fields = []
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        fields.append((name.lower(), value))
    told = {name for name, _ in fields}
    unsaid = dict.fromkeys(name.lower() for name in mode.removed)
    names = [name for name in unsaid if name not in told]
    if names:
        fields.append((_TO_REMOVE, b",".join(names)))
    return fields


def _once(before: bytes | None, value: bytes) -> bytes:
    if before is not None:
        raise _untold()
    return value


def _untold() -> RequestRefused:
    return RequestRefused(
        400, "forwarded_invalid", "one X-Forwarded-Method and one X-Forwarded-Uri must tell of it"
    )
