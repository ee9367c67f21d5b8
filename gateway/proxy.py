"""THE PIPELINE: a request is decided by one pure, synchronous function, then bytes are moved.

    admit → locate client → preflight? → find own endpoint → match route → limit → WebSocket?
          → authenticate → revoked? → authorize → compose upstream head → forward

A decision needs no await: routes, keys, verified tokens and revocations are local. Whoever wants
to know what the gateway does with a request reads `Proxy.decide`; the lanes in `edge/` carry it
out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.admission import Admission, Admitted
from gateway.authentication import Authenticator, require_claims
from gateway.cors import Cors
from gateway.errors import GatewayError, RequestRefused
from gateway.identity import Identity
from gateway.limits import Rate
from gateway.profiles import Answer
from gateway.request import Body, RequestHead
from gateway.routing import OwnPaths, Route, RouteTable
from gateway.tokens.revocation import RevocationView
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.forwarded import Client, ForwardedPolicy
from gateway.upstream.headers import HeadComposer
from gateway.upstream.identity import IdentityMode
from gateway.upstream.pool import Upstream
from gateway.upstream.retrying import REPLAYABLE, is_lost
from gateway.websocket import UPGRADE, Handshake, WebSocketRule

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110 §9.2.2


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A route with all that it needs to decide and to forward, built once at start."""

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
    rate: Rate | None = None
    websocket: WebSocketRule | None = None  # None: an Upgrade ends here
    is_urgent: bool = False  # served before anonymous requests


@dataclass(slots=True)  # not frozen: one a request, and frozen ones cost a microsecond
class Forward:
    """A decision to forward: where to, and the head as it goes there."""

    site: Site
    head: bytes
    body: Body
    is_head: bool
    is_idempotent: bool  # may be sent twice
    identity: Identity | None
    client: str
    ends_sessions: bool  # a success ends the bearer's sessions
    handshake: Handshake | None = None  # a 101 opens a WebSocket
    repeats: int = 0  # how often it was sent once more

    @property
    def is_urgent(self) -> bool:
        """Whether it goes before anonymous requests where not all can be served."""
        return self.identity is not None or self.site.is_urgent

    def may_repeat(self, error: GatewayError, lost: UpstreamConnection, *, held: int) -> bool:
        """Whether to send it once more, so many bytes of its body being here; counts as done."""
        may_be_lost = self.is_idempotent and held <= REPLAYABLE and is_lost(error, lost)
        if not may_be_lost or self.repeats >= self.site.retries:
            return False
        self.repeats += 1
        return self.site.upstream.budget.spend()


class Endpoint(Protocol):
    """A path that the gateway answers itself."""

    @property
    def label(self) -> str:
        """As the route's name in logs."""
        ...

    @property
    def max_body_size(self) -> int:
        """Bytes."""
        ...

    @property
    def site(self) -> Site | None:
        """Where requests go that it leaves to the upstream."""
        ...

    def is_left(self, request: RequestHead) -> bool:
        """Whether this request is the upstream's to answer."""
        ...

    async def answer(self, call: "Call", body: bytes) -> Answer:
        """Raises GatewayError."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A decision that the gateway answers itself, once the body is here."""

    endpoint: Endpoint
    request: RequestHead
    admitted: Admitted
    client: Client
    request_id: bytes


class Proxy:
    """Decides requests; holds what was compiled from the configuration, and no state.

    `revoking` are the (issuer, method, path) whose success ends the bearer's sessions.
    """

    def __init__(
        self,
        *,
        table: RouteTable,
        own: OwnPaths[Endpoint],
        cors: Cors[Endpoint],
        sites: Mapping[Route, Site],
        admission: Admission,
        forwarded: ForwardedPolicy,
        revocations: RevocationView,
        revoking: frozenset[tuple[str, str, bytes]] = frozenset(),
    ) -> None:
        self._table = table
        self._own = own
        self._cors = cors
        self._revocations = revocations
        self._revoking = revoking
        self._sites = sites
        self._admission = admission
        self._forwarded = forwarded

    def decide(self, request: RequestHead, request_id: bytes) -> Forward | Call:
        """What to do with this request, or raise the GatewayError to answer."""
        admitted = self._admission.admit(request)
        client = self._locate(request, admitted)
        endpoint = self._find_preflight(request, admitted) or self._find_own(request, admitted)
        if endpoint is not None and not endpoint.is_left(request):
            return Call(endpoint, request, admitted, client, request_id)
        site = self._match(request, admitted, endpoint)
        self._limit(site, admitted)
        handshake = self._handshake(site, request)
        asked = request if handshake is None else handshake.request
        identity = self._authenticate(site, asked)
        self._refuse_revoked(identity)
        self._authorize(site, identity)
        head = self._compose(site, asked, admitted, client, identity, request_id, handshake)
        return Forward(
            site=site,
            head=head,
            body=admitted.body,
            is_head=request.method == "HEAD",
            is_idempotent=request.method in _IDEMPOTENT,
            identity=identity,
            client=client.address,
            ends_sessions=self._ends_sessions(request, identity),
            handshake=handshake,
        )

    def trusts(self, peer: str | None) -> bool:
        """Whether what this peer says of its clients is believed."""
        return self._forwarded.trusts(peer)

    def _locate(self, request: RequestHead, admitted: Admitted) -> Client:
        client = self._forwarded.client_of(request, admitted.host or b"")
        request.client = client.address
        return client

    def _find_preflight(self, request: RequestHead, admitted: Admitted) -> Endpoint | None:
        if request.method != "OPTIONS":
            return None
        return self._cors.find_preflight(request, admitted.host_name)

    def _find_own(self, request: RequestHead, admitted: Admitted) -> Endpoint | None:
        endpoint = self._own.find(admitted.host_name, request.path)
        if endpoint is not None:
            request.route = endpoint.label
            self._cors.cover(request, admitted.host_name)
        return endpoint

    def _match(self, request: RequestHead, admitted: Admitted, endpoint: Endpoint | None) -> Site:
        if endpoint is not None and endpoint.site is not None:
            return endpoint.site
        route = self._table.match(request.method, admitted.host_name, request.path)
        request.route = route.name
        if route.config.cors is not None:
            self._cors.grant(request, route)
        return self._sites[route]

    def _limit(self, site: Site, admitted: Admitted) -> None:
        length = admitted.body.length
        if length is not None and length > site.max_body_size:
            raise too_large()

    def _handshake(self, site: Site, request: RequestHead) -> Handshake | None:
        if site.websocket is None or not request.may_upgrade:
            return None
        return site.websocket.read(request)

    def _authenticate(self, site: Site, request: RequestHead) -> Identity | None:
        if site.authenticator is None or request.is_preflight:
            return None
        identity = site.authenticator.authenticate(request)
        if identity is None and site.is_required:
            raise site.authenticator.missing()
        return identity

    def _refuse_revoked(self, identity: Identity | None) -> None:
        if identity is not None:
            self._revocations.check(identity)

    def _authorize(self, site: Site, identity: Identity | None) -> None:
        if identity is not None and site.require:
            require_claims(identity, site.require)

    def _compose(
        self,
        site: Site,
        request: RequestHead,
        admitted: Admitted,
        client: Client,
        identity: Identity | None,
        request_id: bytes,
        handshake: Handshake | None,
    ) -> bytes:
        host = admitted.host
        is_unjudged = site.authenticator is not None and request.is_preflight
        composer = site.preflight_composer if is_unjudged else site.composer
        return composer.compose(
            request,
            host=host if host is not None and site.preserve_host else site.upstream.authority,
            body=admitted.body,
            added=b"%b%bx-request-id: %b\r\n%b%b"
            % (
                client.lines,
                UPGRADE if handshake is not None else b"",
                request_id,
                request.trace.lines if request.trace is not None else b"",
                site.identity_mode.lines(identity),
            ),
            is_peer_trusted=client.is_peer_trusted,
        )

    def _ends_sessions(self, request: RequestHead, identity: Identity | None) -> bool:
        if not self._revoking or identity is None:
            return False
        return (identity.issuer, request.method, request.path) in self._revoking


def too_large() -> RequestRefused:
    return RequestRefused(413, "body_too_large", "the request body is too large")
