"""A worker: the gateway that answers now, and its exchange for another one without a pause.

Rule: a new gateway answers nothing before it has started, and an old one goes on until all that it
has begun is done.
"""

import asyncio
import logging
import time
from typing import Any

import uvicorn

from gateway.app.gateway import Gateway
from gateway.config import Config
from gateway.edge.server import EdgeSettings, edge_config, in_flight, keep_for_good, renew
from gateway.telemetry.logs import configure_logging
from gateway.tokens.keys import KeyMaterialError

STORE_ON_RELOAD = 10.0  # seconds that a reload waits for the revocations in another store
MUCH = 2  # times what a head may have: it is not even read to its end; less has a finer answer
LOOK = 0.05  # seconds between two looks at a gateway that is to end

_LOG = logging.getLogger(__name__)


class Worker:
    """One process's gateways. An ASGI application of which uvicorn runs the lifespan."""

    def __init__(self, config: Config) -> None:
        self.gateway = Gateway(config)
        self.edge: uvicorn.Config = edge_config(self, edge_settings(self.gateway))
        self.gateway.metrics.inflight_requests.set_function(lambda: in_flight(self.edge))
        self._next: Gateway | None = None
        self._is_stopping = False
        self._retiring: dict[Gateway, asyncio.Task[None]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":  # under another protocol than the edge's
            await self.gateway(scope, receive, send)
            return
        await receive()
        await self.gateway.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def prepare(self, config: Config) -> str | None:
        """Builds and starts a gateway of this configuration; why that can't be, None where it is.

        It answers from `commit` on; `abort` drops it.
        """
        if self._is_stopping:
            return "it is stopping"
        now = self.gateway
        await self.abort()
        try:
            new = Gateway(config, predecessor=now)
        except KeyMaterialError as error:
            return str(error)
        self._next = new
        try:
            await new.start()
        except Exception as error:  # noqa: BLE001 - logged; the old gateway goes on
            _LOG.exception("the new configuration can't start")
            await self.abort()
            return f"can't start: {type(error).__name__}"
        if new.state is now.state or await new.view.wait_until_whole(STORE_ON_RELOAD):
            return None
        why = new.unready_because()
        if why is None and now.view.is_whole:  # `allow` is no leave to forget what is known
            why = "revocations are not loaded yet"
        if why is not None:
            await self.abort()
            return f"store: {why}"
        return None

    async def commit(self) -> None:
        """Lets the prepared gateway answer; the old one ends behind its last request."""
        new, old = self._next, self.gateway
        if new is None or self._is_stopping:
            return
        self._next, self.gateway = None, new
        new.take_over()
        renew(self.edge, edge_settings(new))
        configure_logging(new.config.logging.level, new.config.logging.format)
        patience = new.config.server.graceful_shutdown
        self._retiring[old] = asyncio.create_task(self._retire(old, patience), name="retiring")

    async def abort(self) -> None:
        """Drops what was prepared."""
        new, self._next = self._next, None
        if new is not None:
            await new.stop()

    def drain(self) -> None:
        """Announces that this worker is about to stop: readiness fails first."""
        self._is_stopping = True
        for gateway in (self.gateway, *self._retiring):
            gateway.drain()
        self.gateway.sockets.drain()

    async def stop(self) -> None:
        """Ends all gateways; whoever is to finish requests has done so."""
        await self.abort()
        for task in self._retiring.values():
            task.cancel()
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)
        for old in list(self._retiring):
            await old.stop()
        await self.gateway.stop()

    def unready_because(self) -> str | None:
        return self.gateway.unready_because()

    async def _retire(self, old: Gateway, patience: float) -> None:
        """Ends a gateway that no new request reaches, once it is quiet or `patience` is over."""
        old.drain()  # what it still has to record has the same time
        end = time.monotonic() + patience
        quiet = 0
        while quiet < 2 and time.monotonic() < end:  # a retry may be between two connections
            await asyncio.sleep(LOOK)
            quiet = 0 if old.is_in_use else quiet + 1
        if quiet < 2:
            _LOG.warning("requests begun before the reload took too long, and were cut")
        await old.stop()
        del self._retiring[old]
        keep_for_good()

    def __repr__(self) -> str:
        return f"<Worker ready={self.gateway.is_ready} retiring={len(self._retiring)}>"


def edge_settings(gateway: Gateway) -> EdgeSettings:
    """How the public listener of this gateway is to be."""
    server = gateway.config.server
    return EdgeSettings(
        lane=gateway.lane,
        refusal=gateway.refusal_bytes,
        max_head=MUCH * (server.max_url_size + server.max_header_size),
        max_fields=MUCH * server.max_header_count,
        max_connections=server.max_connections,
        header_timeout=server.header_timeout,
        keep_alive=server.keep_alive,
        graceful_shutdown=server.graceful_shutdown,
    )
