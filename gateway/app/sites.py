"""Builds what each route, and each issuer's upstream, needs to decide and to forward."""

import time
from collections.abc import Iterable, Mapping

from gateway.authentication import Authenticator
from gateway.config import Config, RouteConfig, UpstreamConfig
from gateway.identity import Identity
from gateway.limits import Rate
from gateway.profiles import Profiles
from gateway.proxy import Site
from gateway.routing import Route
from gateway.tokens.cache import VerifiedTokens
from gateway.tokens.issuer import Issuer
from gateway.trace_context import TRACE_FIELDS
from gateway.upstream.headers import HeadComposer
from gateway.upstream.identity import IdentityHeaders, IdentityMode, Minted, Passthrough, Untold
from gateway.upstream.pool import Upstream
from gateway.websocket import WebSocketRule


class Sites:
    """The sites of one gateway."""

    def __init__(
        self,
        config: Config,
        *,
        issuers: Mapping[str, Issuer],
        upstreams: Mapping[str, Upstream],
        profiles: Profiles,
    ) -> None:
        self._config = config
        self._issuers = issuers
        self._upstreams = upstreams
        self._profiles = profiles
        # Where spans are made the gateway speaks of traces itself.
        self._replaced = TRACE_FIELDS if config.tracing.otlp_endpoint is not None else ()
        self._authenticators: dict[tuple[str, ...], Authenticator] = {}

    def of_route(self, route: Route) -> Site:
        config = route.config
        settings = self._config.upstreams[config.upstream]
        credentials = self._credential_headers(config.issuers)
        judged = credentials if config.auth != "none" else ()
        mode = self._identity_mode(settings, judged)
        size = config.max_body_size
        return Site(
            authenticator=None if config.auth == "none" else self.authenticator(config.issuers),
            is_required=config.auth == "required",
            require=config.require,
            upstream=self._upstreams[config.upstream],
            identity_mode=mode,
            composer=HeadComposer(removed=(*mode.removed, *self._replaced), judged=judged),
            preflight_composer=HeadComposer(removed=(*mode.removed, *credentials, *self._replaced)),
            preserve_host=settings.preserve_host,
            max_body_size=self._config.server.max_body_size if size is None else size,
            retries=settings.retries,
            rate=_rate(config),
            websocket=self._websocket(config, judged),
            is_urgent=config.priority == "high",
        )

    def _websocket(self, config: RouteConfig, judged: tuple[bytes, ...]) -> WebSocketRule | None:
        places = config.websocket
        if places is None:
            return None
        if not judged:
            return WebSocketRule()
        return WebSocketRule(
            subprotocol=places.subprotocol,
            query=places.query,
            credentials=judged,
            field_for=self.authenticator(config.issuers).field_for,
        )

    def of_upstream(self, name: str) -> Site:
        """Where an issuer's own requests go: as from a route that asks for no token."""
        settings = self._config.upstreams[name]
        mode = self._identity_mode(settings, ())
        composer = HeadComposer(removed=(*mode.removed, *self._replaced))
        return Site(
            authenticator=None,
            is_required=False,
            require={},
            upstream=self._upstreams[name],
            identity_mode=mode,
            composer=composer,
            preflight_composer=composer,
            preserve_host=settings.preserve_host,
            max_body_size=self._config.server.max_body_size,
            retries=settings.retries,
            is_urgent=True,
        )

    def authenticator(self, names: tuple[str, ...]) -> Authenticator:
        """One for all routes with the same issuers, so that they share verified tokens."""
        if names not in self._authenticators:
            self._authenticators[names] = Authenticator(
                [self._issuers[name] for name in names], self._profiles, wall=time.time
            )
        return self._authenticators[names]

    @property
    def token_caches(self) -> list[VerifiedTokens]:
        """What all authenticators so far have verified."""
        return [each.cache for each in self._authenticators.values()]

    def _credential_headers(self, issuers: Iterable[str]) -> tuple[bytes, ...]:
        names = {self._config.issuers[name].auth_header_name.lower() for name in issuers}
        return tuple(name.encode() for name in sorted(names))

    def _identity_mode(
        self, settings: UpstreamConfig, credentials: tuple[bytes, ...]
    ) -> IdentityMode:
        """What this upstream is told; without `credentials` the route judges nobody."""
        if settings.identity == "headers":
            return IdentityHeaders(settings.identity_headers, credentials=credentials)
        if settings.identity == "passthrough" or not credentials:
            return Passthrough()
        if settings.identity == "mint" and settings.mint is not None:
            return self._minted(settings.mint.issuer, settings.mint.lifetime, credentials)
        return Untold(credentials)

    def _minted(self, name: str, lifetime: float, credentials: tuple[bytes, ...]) -> Minted:
        issuer = self._issuers[name]
        word = issuer.config.auth_header_types[0]

        def mint(identity: Identity) -> tuple[bytes, float]:
            now = time.time()
            token = issuer.mint(identity, lifetime=lifetime, now=now)
            return f"{word} {token}".encode(), now + lifetime / 2

        header = issuer.config.auth_header_name.encode()
        return Minted(mint, header=header, credentials=credentials, now=time.time)


def revoking(config: Config) -> frozenset[tuple[str, str, bytes]]:
    """Issuer, method and path of what ends the sessions of who has asked for it (`revoke_on`)."""
    return frozenset(
        (name, method, one.path.encode())
        for name, issuer in config.issuers.items()
        for one in issuer.revoke_on
        for method in one.methods
    )


def _rate(config: RouteConfig) -> Rate | None:
    limit = config.rate_limit
    if limit is None:
        return None
    return Rate(
        route=config.name,
        rate=limit.rate,
        burst=limit.burst if limit.burst is not None else max(1, round(limit.rate)),
        per_user=limit.per == "user",
        issuer=config.issuers[0] if config.issuers else "",
    )
