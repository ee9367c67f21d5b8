"""`python -m gateway.app.worker_process CHANNEL LISTENER`: one of several workers.

It inherits its two sockets by number, gets its configuration from the supervisor, and answers its
calls. It stops gracefully on SIGTERM, and when the supervisor is gone.
"""

import asyncio
import signal
import socket
import sys
from typing import Any

from gateway.app.channel import Channel
from gateway.app.ending import end_process, loop_runner
from gateway.app.inquiry import told
from gateway.app.worker import Worker
from gateway.config import Config
from gateway.edge.server import EdgeServer
from gateway.telemetry.logs import configure_logging
from gateway.tokens.keys import KeyMaterialError


class WorkerProcess:
    """The worker of this process, as its supervisor sees it."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._worker: Worker | None = None
        self._has_orders = asyncio.Event()
        self._has_started = asyncio.Event()

    async def run(self, end: socket.socket) -> int:
        """Serves until it is told to stop; its exit code."""
        channel = await Channel.open(end, answer=self._answer)
        orders = asyncio.create_task(self._has_orders.wait())
        gone = asyncio.create_task(channel.closed())
        await asyncio.wait([orders, gone], return_when=asyncio.FIRST_COMPLETED)
        worker = self._worker
        if worker is not None:
            server = EdgeServer(
                worker.edge,
                on_started=self._has_started.set,
                on_stop=worker.drain,
                is_shared=self._listener.family == socket.AF_UNIX,
            )
            gone.add_done_callback(lambda _: server.handle_exit(signal.SIGTERM, None))
            await server.serve(sockets=[self._listener])
        orders.cancel()
        gone.cancel()
        await channel.close()
        return 0

    async def _answer(self, verb: str, argument: Any) -> Any:
        if verb == "start":
            return await self._start(argument)
        worker = self._worker
        if worker is None:
            return "not started"
        if verb == "prepare":
            return await worker.prepare(argument)
        if verb == "commit":
            return await worker.commit()
        if verb == "abort":
            return await worker.abort()
        if verb == "inquire":
            return await told(worker.gateway, *argument)
        assert verb == "report", verb
        return worker.unready_because(), worker.gateway.metrics.snapshot()

    async def _start(self, config: Config) -> str | None:
        """Why it can't, None once it serves."""
        configure_logging(config.logging.level, config.logging.format)
        try:
            self._worker = Worker(config)
        except KeyMaterialError as error:
            return str(error)
        self._has_orders.set()
        await self._has_started.wait()
        return None


def main() -> None:
    channel, listener = map(int, sys.argv[1:])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's business
    end = socket.socket(fileno=channel)
    worker = WorkerProcess(socket.socket(fileno=listener))
    with loop_runner() as runner:
        end_process(runner.run(worker.run(end)))


if __name__ == "__main__":
    main()
