"""Runs a gateway: both listeners, until a signal."""

import contextlib
import logging
from typing import Any

import uvloop

from gateway.app.gateway import Gateway
from gateway.config import Config
from gateway.edge.server import edge_config, listen, run, side_config
from gateway.endpoints.health import admin_app
from gateway.telemetry.logs import configure_logging

_LOG = logging.getLogger(__name__)


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
            header_timeout=config.server.header_timeout,
            keep_alive=config.server.keep_alive,
            graceful_shutdown=config.server.graceful_shutdown,
        ),
        side_config(
            admin_app(unready_because=gateway.unready_because, metrics=gateway.metrics.exposition)
        ),
        public=public,
        private=private,
        on_started=announce,
        on_stop=gateway.drain,
    )
