"""THE PIPELINE: a request is decided by one pure, synchronous function, then bytes are moved.

    admit → match route → authenticate → authorize → compose upstream head → forward

A decision needs no await: routes, keys and verified tokens are local. Whoever wants to know what
the gateway does with a request reads `Proxy.decide`; the lanes in `edge/` carry it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.authentication import Authenticator, require_claims
from gateway.errors import RequestRefused
from gateway.identity import Identity
from gateway.request import RequestHead, host_of
from gateway.routing import Route, RouteTable, host_name
from gateway.upstream.forwarded import Client, ForwardedPolicy
from gateway.upstream.headers import Body, HeadComposer, body_of
from gateway.upstream.identity import IdentityMode
from gateway.upstream.pool import Upstream

_REFUSED_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110 §9.2.2


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """Sizes in bytes of what a client may send."""

    url: int = 8 * 1024
    head: int = 32 * 1024
    fields: int = 100
    body: int = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A route with all that it needs to decide and to forward, built once at start."""

    route: Route
    authenticator: Authenticator | None  # None for `auth: none`
    is_required: bool
    require: Mapping[str, Any]
    upstream: Upstream
    identity_mode: IdentityMode
    composer: HeadComposer
    preflight_composer: HeadComposer  # a preflight carries no credentials, whatever it says
    preserve_host: bool
    max_body_size: int
    retries: int


@dataclass(frozen=True, slots=True)
class Forward:
    """A decision to forward: where to, and the head as it goes there."""

    site: Site
    head: bytes
    body: Body
    is_head: bool
    is_idempotent: bool
    identity: Identity | None


class Proxy:
    """Decides requests; holds what was compiled from the configuration, and no state."""

    def __init__(
        self,
        *,
        table: RouteTable,
        sites: Mapping[Route, Site],
        forwarded: ForwardedPolicy,
        limits: HeadLimits,
    ) -> None:
        self._table = table
        self._sites = sites
        self._forwarded = forwarded
        self._limits = limits

    def decide(self, request: RequestHead, request_id: bytes) -> Forward:
        """What to do with this request: forward it so, or raise the GatewayError to answer."""
        host = self._admit(request)
        client = self._forwarded.client_of(request, host or b"")
        site = self._match(request, host)
        body = self._limit(site, request)
        identity = self._authenticate(site, request)
        self._authorize(site, identity)
        head = self._compose(site, request, host, body, identity, client, request_id)
        return Forward(
            site=site,
            head=head,
            body=body,
            is_head=request.method == "HEAD",
            is_idempotent=request.method in _IDEMPOTENT,
            identity=identity,
        )

    def trusts(self, peer: str | None) -> bool:
        """Whether what this peer says of its clients is believed."""
        return self._forwarded.trusts(peer)

    def _admit(self, request: RequestHead) -> bytes | None:
        """The request's Host, if its head is one to deal with at all."""
        limits = self._limits
        if len(request.target) > limits.url:
            raise RequestRefused(414, "url_too_long", "the request target is too long")
        if len(request.headers) > limits.fields:
            raise RequestRefused(431, "header_too_large", "too many header fields")
        size = 0
        for name, value in request.headers:
            size += len(name) + len(value) + 4
            if name == b"upgrade" and b"h2c" in value.lower():
                raise RequestRefused(400, "upgrade_refused", "an upgrade to h2c is never made")
        if size > limits.head:
            raise RequestRefused(431, "header_too_large", "the header fields are too large")
        if request.method in _REFUSED_METHODS:
            raise RequestRefused(405, "method_refused", "this method is never forwarded")
        return host_of(request)

    def _match(self, request: RequestHead, host: bytes | None) -> Site:
        return self._sites[self._table.match(request.method, host_name(host), request.path)]

    def _limit(self, site: Site, request: RequestHead) -> Body:
        body = body_of(request)
        if body.length is not None and body.length > site.max_body_size:
            raise too_large()
        return body

    def _authenticate(self, site: Site, request: RequestHead) -> Identity | None:
        if site.authenticator is None or request.is_preflight:
            return None
        identity = site.authenticator.authenticate(request)
        if identity is None and site.is_required:
            raise site.authenticator.missing()
        return identity

    def _authorize(self, site: Site, identity: Identity | None) -> None:
        if identity is not None and site.require:
            require_claims(identity, site.require)

    def _compose(
        self,
        site: Site,
        request: RequestHead,
        host: bytes | None,
        body: Body,
        identity: Identity | None,
        client: Client,
        request_id: bytes,
    ) -> bytes:
        is_unjudged = site.authenticator is not None and request.is_preflight
        composer = site.preflight_composer if is_unjudged else site.composer
        return composer.compose(
            request,
            host=host if host is not None and site.preserve_host else site.upstream.authority,
            body=body,
            added=b"%bx-request-id: %b\r\n%b"
            % (client.lines, request_id, site.identity_mode.lines(identity)),
            is_peer_trusted=client.is_peer_trusted,
        )


def too_large() -> RequestRefused:
    return RequestRefused(413, "body_too_large", "the request body is too large")
