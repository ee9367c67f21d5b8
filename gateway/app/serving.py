"""Runs a gateway until a signal: in this process, or in several with this one to supervise them."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from gateway.app.alone import Alone
from gateway.app.control import control_socket
from gateway.app.ending import end_process, loop_runner
from gateway.app.listening import Listening, listening
from gateway.app.reloading import Load, Reloader
from gateway.app.supervisor import Supervisor
from gateway.app.worker import Worker
from gateway.config import Config
from gateway.edge.ports import listen
from gateway.edge.server import SideServer, run, side_config
from gateway.endpoints.admin.app import admin_app
from gateway.endpoints.admin.fleet import Fleet
from gateway.telemetry.logs import configure_logging
from gateway.telemetry.rates import Rates

_LOG = logging.getLogger(__name__)


def serve(config: Config, *, load: Load, control: Path) -> int:
    """Runs both listeners until a signal, and ends this process; 1 if an address can't be had.

    A reload takes what `load` gives; it is asked for by SIGHUP, or on the socket `control`.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    configure_logging(config.logging.level, config.logging.format)
    server, admin = config.server, config.admin
    with loop_runner() as runner:
        with contextlib.ExitStack() as stack:
            try:
                private = stack.enter_context(listen(admin.host, admin.port))
                public = stack.enter_context(listening(server))
            except OSError as error:
                _LOG.error("can't listen: %s", error.strerror or error)
                return 1
            run_all = _serve_alone if server.workers == 1 else _supervise
            code = runner.run(run_all(config, public, private, load=load, control=control))
        return end_process(code)


async def _serve_alone(
    config: Config, public: Listening, private: socket.socket, **reload: Any
) -> int:
    alone = Alone(worker := Worker(config))
    (listener,) = public.listeners

    def announce() -> None:
        alone.has_started.set()
        _announce(public, private)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.ask)

    def stop() -> None:
        public.vanish()
        worker.drain()

    reloader = Reloader(config, load=reload["load"], apply=alone.apply)
    async with _admin(alone, reloader) as app, control_socket(reload["control"], reloader.reload):
        await run(
            worker.edge,
            side_config(app),
            public=listener,
            private=private,
            on_started=announce,
            on_stop=stop,
        )
    return 0


async def _supervise(
    config: Config, public: Listening, private: socket.socket, **reload: Any
) -> int:
    supervisor = Supervisor(config, public.listeners)
    reloader = Reloader(config, load=reload["load"], apply=supervisor.apply)
    loop = asyncio.get_running_loop()
    is_stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_stopped.set)
    stopped = asyncio.create_task(is_stopped.wait())
    async with _admin(supervisor, reloader) as app:
        side = SideServer(side_config(app))
        admin = asyncio.create_task(side.serve(sockets=[private]))
        starting = asyncio.create_task(supervisor.start())
        try:
            await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
            elif (why := starting.result()) is not None:
                _LOG.error("can't start: %s", why)
                return 1
            else:
                _announce(public, private)
                loop.add_signal_handler(signal.SIGHUP, reloader.ask)
                async with control_socket(reload["control"], reloader.reload):
                    await stopped
            public.vanish()
            await supervisor.stop()
            return 0
        finally:
            public.vanish()  # also where it never served: the process ends here
            stopped.cancel()
            side.should_exit = True
            await admin


@contextlib.asynccontextmanager
async def _admin(fleet: Fleet, reloader: Reloader) -> AsyncIterator[ASGIApp]:
    """The admin listener's application, with what it observes for as long as the context lasts."""
    rates = Rates(clock=time.monotonic)
    sampling = asyncio.create_task(rates.run(fleet.snapshot), name="rates")
    try:
        yield admin_app(fleet, reloads=reloader, rates=rates)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)


def _announce(public: Listening, private: socket.socket) -> None:
    _LOG.info("listening on %s, admin on port %d", public.address, private.getsockname()[1])
