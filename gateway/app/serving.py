"""Runs a gateway in this process: both listeners and the control socket, until a signal."""

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import Any

import uvloop

from gateway.app.control import control_socket
from gateway.app.reloading import Load, Reloader
from gateway.app.worker import Worker
from gateway.config import Config
from gateway.edge.server import listen, run, side_config
from gateway.endpoints.health import admin_app
from gateway.telemetry.logs import configure_logging

_LOG = logging.getLogger(__name__)


def serve(config: Config, *, load: Load, control: Path) -> int:
    """Runs both listeners until a signal; the exit code, 1 where an address can't be had.

    A reload takes what `load` gives; it is asked for by SIGHUP, or on the socket `control`.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    configure_logging(config.logging.level, config.logging.format)
    server, admin = config.server, config.admin
    with contextlib.ExitStack() as stack:
        try:
            public = stack.enter_context(listen(server.host, server.port))
            private = stack.enter_context(listen(admin.host, admin.port))
        except OSError as error:
            _LOG.error("can't listen: %s", error.strerror or error)
            return 1
        uvloop.run(_serve(config, public, private, load=load, control=control))
    return 0


async def _serve(config: Config, public: Any, private: Any, *, load: Load, control: Path) -> None:
    worker = Worker(config)

    def announce() -> None:
        host, port = public.getsockname()[:2]
        _LOG.info(
            "listening on http://%s:%d, admin on port %d", host, port, private.getsockname()[1]
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.ask)

    async def apply(new: Config) -> list[str]:
        why = await worker.prepare(new)
        if why is not None:
            return [why]
        await worker.commit()
        return []

    async def metrics() -> bytes:
        return worker.gateway.metrics.exposition()

    async def unready_because() -> str | None:
        return worker.unready_because()

    reloader = Reloader(config, load=load, apply=apply)
    async with control_socket(control, reloader.reload):
        await run(
            worker.edge,
            side_config(admin_app(unready_because=unready_because, metrics=metrics)),
            public=public,
            private=private,
            on_started=announce,
            on_stop=worker.drain,
        )
