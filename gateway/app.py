"""The composition root: the only place that builds collaborators and wires them.

`create_app` gives a plain ASGI application for any server; `serve` runs it on uvicorn with the
admin listener beside it.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterable
from typing import Any

import httpx
import uvloop

from gateway.admission import Admission, HeadLimits
from gateway.authentication import Authenticator
from gateway.config import Config, RouteConfig, UpstreamConfig
from gateway.edge.asgi import AsgiLane
from gateway.edge.server import edge_config, listen, run, side_config
from gateway.endpoints.health import admin_app
from gateway.errors import GatewayError
from gateway.identity import Identity
from gateway.profiles import Profiles
from gateway.proxy import Proxy, Site
from gateway.routing import Route, RouteTable
from gateway.telemetry.access_log import AccessLog, to_stdout
from gateway.telemetry.logs import configure_logging
from gateway.telemetry.request_id import RequestIds
from gateway.tokens.issuer import Issuer
from gateway.upstream.forwarded import ForwardedPolicy
from gateway.upstream.headers import HeadComposer
from gateway.upstream.identity import IdentityHeaders, IdentityMode, Minted, Passthrough, Untold
from gateway.upstream.pool import Upstream

KEYS_AT_START = 2.0  # seconds that a start waits for the issuers' published keys

_LOG = logging.getLogger(__name__)


class Gateway:
    """Everything that one worker holds. An ASGI application; `start` and `stop` are its lifespan.

    Raises KeyMaterialError where an issuer's keys are unfit.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.is_ready = False
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        self._issuers = {
            name: Issuer.build(
                name, settings, client=self._client, monotonic=time.monotonic, wall=time.time
            )
            for name, settings in config.issuers.items()
        }
        self.profiles = Profiles(config.issuers)
        self.upstreams = {
            name: Upstream.build(name, settings) for name, settings in config.upstreams.items()
        }
        self._authenticators: dict[tuple[str, ...], Authenticator] = {}
        self._access_log = _access_log(config)
        self._background: list[asyncio.Task[None]] = []
        table = RouteTable.compile(config.routes)
        server = config.server
        self.lane = AsgiLane(
            proxy=Proxy(
                table=table,
                sites={route: self._site(route) for route in table.routes},
                admission=Admission(
                    HeadLimits(
                        url=server.max_url_size,
                        head=server.max_header_size,
                        fields=server.max_header_count,
                    )
                ),
                forwarded=ForwardedPolicy(map(str, server.trusted_proxies)),
            ),
            profiles=self.profiles,
            request_ids=RequestIds(os.urandom(6).hex().encode()),
            access_log=self._access_log,
            body_timeout=server.body_timeout,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.lane(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def start(self) -> None:
        """Opens what serving needs; ready when it returns."""
        for upstream in self.upstreams.values():
            upstream.start()
        sources = [issuer.source for issuer in self._issuers.values() if issuer.source is not None]
        if sources:
            # A fetch that fails or hangs leaves 503s, never 401s, to that issuer's tokens alone.
            fetches = [asyncio.create_task(source.refresh()) for source in sources]
            await asyncio.wait(fetches, timeout=KEYS_AT_START)
            self._background += fetches
            self._background += [asyncio.create_task(source.run()) for source in sources]
        self.is_ready = True

    def drain(self) -> None:
        """Announces that this worker is about to stop: readiness fails first."""
        self.is_ready = False

    async def stop(self) -> None:
        """Releases all that `start` took."""
        self.drain()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for upstream in self.upstreams.values():
            await upstream.stop()
        await self._client.aclose()
        if self._access_log is not None:
            self._access_log.flush()

    def unready_because(self) -> str | None:
        """Why no traffic should be sent here, None when all is well."""
        return None if self.is_ready else "starting or stopping"

    @property
    def max_head(self) -> int:
        """The most bytes of a head that is not complete; smaller ones get a finer answer."""
        server = self.config.server
        return 2 * (server.max_url_size + server.max_header_size)

    def refusal_bytes(self, error: GatewayError) -> bytes:
        """A whole HTTP/1.1 answer for a request that could not even be parsed."""
        return self.lane.refusal_bytes(error)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _site(self, route: Route) -> Site:
        config = route.config
        settings = self.config.upstreams[config.upstream]
        credentials = self._credential_headers(config.issuers)
        judged = credentials if config.auth != "none" else ()
        mode = self._identity_mode(settings, judged)
        size = config.max_body_size
        return Site(
            route=route,
            authenticator=None if config.auth == "none" else self._authenticator(config),
            is_required=config.auth == "required",
            require=config.require,
            upstream=self.upstreams[config.upstream],
            identity_mode=mode,
            composer=HeadComposer(removed=mode.removed, judged=judged),
            preflight_composer=HeadComposer(removed=(*mode.removed, *credentials)),
            preserve_host=settings.preserve_host,
            max_body_size=self.config.server.max_body_size if size is None else size,
            retries=settings.retries,
        )

    def _authenticator(self, config: RouteConfig) -> Authenticator:
        """One for all routes with the same issuers, so that they share verified tokens."""
        names = config.issuers
        if names not in self._authenticators:
            self._authenticators[names] = Authenticator(
                [self._issuers[name] for name in names], self.profiles, wall=time.time
            )
        return self._authenticators[names]

    def _credential_headers(self, issuers: Iterable[str]) -> tuple[bytes, ...]:
        names = {self.config.issuers[name].auth_header_name.lower() for name in issuers}
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


def _access_log(config: Config) -> AccessLog | None:
    if not config.logging.access_log:
        return None
    return AccessLog(to_stdout, form=config.logging.format, wall=time.time)


def create_app(config: Config) -> Gateway:
    """The plain ASGI application, for any ASGI server with lifespan support."""
    return Gateway(config)


def serve(config: Config) -> int:
    """Runs both listeners until a signal; the exit code, 1 where an address can't be had."""
    configure_logging(config.logging.level, config.logging.format)
    server, admin = config.server, config.admin
    with contextlib.ExitStack() as stack:
        try:
            public = stack.enter_context(listen(server.host, server.port))
            private = stack.enter_context(listen(admin.host, admin.port))
        except OSError as error:
            _LOG.error("can't listen: %s", error.strerror or error)
            return 1
        uvloop.run(_serve(config, public, private))
    return 0


async def _serve(config: Config, public: Any, private: Any) -> None:
    gateway = Gateway(config)

    def announce() -> None:
        host, port = public.getsockname()[:2]
        _LOG.info(
            "listening on http://%s:%d, admin on port %d", host, port, private.getsockname()[1]
        )

    await run(
        edge_config(
            gateway,
            lane=gateway.lane,
            refusal=gateway.refusal_bytes,
            max_head=gateway.max_head,
            keep_alive=config.server.keep_alive,
            graceful_shutdown=config.server.graceful_shutdown,
        ),
        side_config(admin_app(unready_because=gateway.unready_because)),
        public=public,
        private=private,
        on_started=announce,
        on_stop=gateway.drain,
    )
