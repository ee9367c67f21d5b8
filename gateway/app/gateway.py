"""Everything that answers by one configuration; a reload builds another one in its place."""

import asyncio
import logging
import math
import os
import time
from typing import Any

from gateway.admission import Admission, HeadLimits
from gateway.app.sites import Sites, revoking
from gateway.app.state import State
from gateway.app.token_paths import open_sessions, token_paths
from gateway.app.traces import spans, trace_starter
from gateway.config import Config
from gateway.cors import Cors, Fields
from gateway.edge.asgi import AsgiLane
from gateway.edge.lane import Lane
from gateway.edge.sockets import Sockets
from gateway.endpoints.preflight import Preflight
from gateway.errors import GatewayError
from gateway.identity import Identity
from gateway.limits import Limiter
from gateway.profiles import Profiles
from gateway.proxy import Proxy
from gateway.routing import RouteTable
from gateway.telemetry.access_log import AccessLog, to_shared_stdout, to_stdout
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_id import RequestIds
from gateway.tokens.issuer import Issuer
from gateway.tokens.jwks import key_client
from gateway.upstream.forwarded import ForwardedPolicy
from gateway.upstream.pool import Upstream

KEYS_AT_START = 2.0  # seconds that a start waits for the issuers' published keys
STORE_AT_START = 2.0  # … and for the revocations in the store

_LOG = logging.getLogger(__name__)


class Gateway:
    """Everything that answers by one configuration. An ASGI application; `start` and `stop` are
    its lifespan.

    From a `predecessor` it takes the metrics, the open WebSockets, and the state and the published
    keys that are good for this configuration too. Raises KeyMaterialError where an issuer's keys
    are unfit.
    """

    def __init__(self, config: Config, *, predecessor: "Gateway | None" = None) -> None:
        self.config = config
        self.is_ready = False
        self._is_first = predecessor is None
        self.metrics: Metrics = predecessor.metrics if predecessor else Metrics()
        fetches = any(issuer.jwk_url is not None for issuer in config.issuers.values())
        self._client = key_client() if fetches else None
        self._issuers = {
            name: Issuer.build(
                name, settings, client=self._client, monotonic=time.monotonic, wall=time.time
            )
            for name, settings in config.issuers.items()
        }
        if predecessor is not None:
            self._inherit_keys(predecessor)
        self.profiles = Profiles(config.issuers)
        self.upstreams: dict[str, Upstream] = {
            name: Upstream(
                name,
                settings,
                durations=self.metrics.upstreams.durations(name),
                predecessor=predecessor.upstreams.get(name) if predecessor else None,
            )
            for name, settings in config.upstreams.items()
        }
        self.state: State = (
            predecessor.state
            if predecessor is not None and predecessor.state.serves(config)
            else State(config, metrics=self.metrics)
        )
        self.store, self.view = self.state.store, self.state.view
        self.sessions = open_sessions(
            config, self._issuers, store=self.store, view=self.view, metrics=self.metrics
        )
        self.sockets: Sockets = predecessor.sockets if predecessor else Sockets()
        self._access_log = _access_log(config)
        self._spans = spans(config.tracing)
        self._background: list[asyncio.Task[None]] = []
        self._uses_state = False
        self._stops_by = math.inf
        self.lane = self._lane(config)

    def _lane(self, config: Config) -> AsgiLane:
        table = RouteTable.compile(config.routes)
        server = config.server
        self._sites = sites = Sites(
            config, issuers=self._issuers, upstreams=self.upstreams, profiles=self.profiles
        )
        local = self.state.local
        shared = Lane(
            proxy=Proxy(
                table=table,
                own=token_paths(
                    config,
                    sessions=self.sessions,
                    sites=sites,
                    profiles=self.profiles,
                    view=self.view,
                    store=self.store,
                    local=local,
                ),
                cors=Cors(table, preflight=Preflight()),
                sites={route: sites.of_route(route) for route in table.routes},
                admission=Admission(
                    HeadLimits(
                        url=server.max_url_size,
                        head=server.max_header_size,
                        fields=server.max_header_count,
                    )
                ),
                forwarded=ForwardedPolicy(map(str, server.trusted_proxies)),
                revocations=self.view,
                revoking=revoking(config),
            ),
            profiles=self.profiles,
            request_ids=RequestIds(os.urandom(6).hex().encode()),
            access_log=self._access_log,
            metrics=self.metrics.requests,
            traces=trace_starter(config.tracing),
            spans=self._spans,
        )
        return AsgiLane(
            shared,
            body_timeout=server.body_timeout,
            limiter=Limiter(store=self.store, local=local),
            end_sessions=self._end_sessions,
            sockets=self.sockets,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.lane(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})  # they need the fast lane

    async def start(self) -> None:
        """Opens what serving needs; ready when it returns, but for what an outage withholds."""
        if self._is_first:
            self.take_over()
        for upstream in self.upstreams.values():
            upstream.start()
        await self.state.start()
        self._uses_state = True
        sources = [issuer.source for issuer in self._issuers.values() if issuer.source is not None]
        if sources:
            # A fetch that fails or hangs leaves 503s, never 401s, to that issuer's tokens alone.
            fetches = [
                asyncio.create_task(source.refresh()) for source in sources if not source.has_keys
            ]
            if fetches:
                await asyncio.wait(fetches, timeout=KEYS_AT_START)
            self._background += fetches
            self._background += [asyncio.create_task(source.run()) for source in sources]
        if not await self.view.wait_until_whole(STORE_AT_START):
            _LOG.warning("the revocations are not loaded yet: is the store up?")
        self.is_ready = True

    def take_over(self) -> None:
        """Becomes the one that answers, and whose store the metrics and the open sockets follow."""
        self.state.take_over(self.config)
        self.metrics.store_up.set_function(lambda: self.store.is_up)
        self.metrics.upstreams.follow(self.upstreams)
        self.metrics.tokens.follow(self._sites.token_caches)
        self.metrics.open_websockets.set_function(lambda: len(self.sockets))
        self._background.append(asyncio.create_task(self._end_revoked(), name="open sockets"))

    @property
    def is_in_use(self) -> bool:
        """Whether a request is under way here."""
        return self.lane.running > 0 or any(each.is_in_use for each in self.upstreams.values())

    def drain(self) -> None:
        """Announces that this worker is about to stop: readiness fails first."""
        self.is_ready = False
        patience = self.config.server.graceful_shutdown
        self._stops_by = min(self._stops_by, time.monotonic() + patience)

    async def stop(self) -> None:
        """Releases all that `start` took, once what upstreams are refreshing has been recorded.

        For that it has what is left of `graceful_shutdown` since `drain`.
        """
        self.drain()
        patience = self._stops_by - time.monotonic()
        await asyncio.gather(*(sessions.stop(patience) for sessions in self.sessions.values()))
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for upstream in self.upstreams.values():
            await upstream.stop()
        if self._uses_state:
            self._uses_state = False
            await self.state.stop()
        if self._client is not None:
            await self._client.aclose()
        if self._access_log is not None:
            self._access_log.close()
        if self._spans is not None:
            await self._spans.stop()

    def unready_because(self) -> str | None:
        """Why no traffic should be sent here, None when all is well."""
        if not self.is_ready:
            return "starting or stopping"
        return self.view.unready_because(store_is_up=self.store.is_up)

    def refusal_bytes(self, error: GatewayError, cors: Fields = ()) -> bytes:
        """A whole HTTP/1.1 answer for a request that could not even be parsed, or not be ended."""
        return self.lane.shared.refusal_bytes(error, cors)

    def _inherit_keys(self, predecessor: "Gateway") -> None:
        """Keys that were fetched from the same place are not fetched again: it may be away."""
        for name, issuer in self._issuers.items():
            before = predecessor._issuers.get(name)
            if before is not None and issuer.source is not None and before.source is not None:
                issuer.source.inherit(before.source)

    async def _end_sessions(self, identity: Identity) -> None:
        sessions = self.sessions[identity.issuer]
        await sessions.end_all_eventually(identity.user_id, why="revoke_on")

    async def _end_revoked(self) -> None:
        """Ends what sessions that are over still hold open."""
        while True:
            await asyncio.sleep(self.config.server.revocation_sweep)
            try:
                self.sockets.end_revoked(self.view.has_ended)
                for upstream in self.upstreams.values():
                    upstream.end_revoked(self.view.has_ended)
            except Exception:  # noqa: BLE001 - logged with its trace; the next look is due
                _LOG.exception("what ended sessions hold open could not be closed")

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _access_log(config: Config) -> AccessLog | None:
    if not config.logging.access_log:
        return None
    write = to_shared_stdout if config.server.workers > 1 else to_stdout
    return AccessLog(write, form=config.logging.format, wall=time.time)


def create_app(config: Config) -> Gateway:
    """The plain ASGI application, for any ASGI server with lifespan support."""
    return Gateway(config)
