"""The uvicorn servers: the public listener with the edge protocol, the admin listener beside it."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from gateway.edge.cycle import Refusal
from gateway.edge.ordinary_head import OrdinaryHeads
from gateway.edge.protocol import EdgeProtocol
from gateway.edge.splice import End
from gateway.edge.turns import Turns

# libuv takes one connection a turn of the loop from each handle of a listening socket, and a turn
# takes 15 ms under load: by one handle, the last of 1,000 clients waited for more than a second.
# With each handle a lone connection costs 1 to 2 µs more: all of them look for one.
HANDLES = 16
LAST_CALL = 0.5  # seconds that a stop leaves connections without a request open
ENDING = 0.75  # … that are kept of the grace, for the process to have ended when it is over

# uvicorn keeps its hands off logging, WebSocket and forwarding headers (`upstream/forwarded.py`
# decides whom to believe).
_PLAIN: dict[str, Any] = {
    "log_config": None,
    "ws": "none",
    "access_log": False,
    "proxy_headers": False,
}


class SideServer(uvicorn.Server):
    """A listener for which signals are somebody else's business."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._listeners = sockets or []
        with contextlib.ExitStack() as opened:
            handles = [
                opened.enter_context(listener.dup())
                for listener in self._listeners
                for _ in range(HANDLES - 1)
            ]
            await super().serve([*self._listeners, *handles])

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        protocol = self.config.http
        if isinstance(protocol, type) and issubclass(protocol, EdgeProtocol):
            protocol.present = self.server_state.connections
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Once a second, ends the connections that are idle or stalled."""
        if counter % 10 == 0:  # uvicorn ticks ten times a second
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, EdgeProtocol | End):
                    connection.sweep(now, self.config.timeout_keep_alive)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes who has connected already, and gives who waits the time for one more request."""
        protocol = self.config.http
        if isinstance(protocol, type) and issubclass(protocol, EdgeProtocol):
            # Also for who was accepted just now, and is no connection of the server's yet.
            protocol.is_leaving, protocol.is_fast = True, False
        await self._accept_last()
        closing = asyncio.create_task(self._close_waiting())
        try:
            await super().shutdown(sockets)
        finally:
            closing.cancel()

    async def _accept_last(self) -> None:
        """Closes the listening sockets, and takes who is in their queues, who would be reset.

        Nothing is done between the last look into a queue and its end: what comes then is reset.
        """
        queues = [listener.dup() for listener in self._listeners]
        for server in self.servers:
            server.close()
        accepted = []
        for queue in queues:
            queue.setblocking(False)
            with queue, contextlib.suppress(OSError):  # it is empty
                while True:
                    accepted.append(queue.accept()[0])
        loop = asyncio.get_running_loop()
        for connection in accepted:
            with contextlib.suppress(OSError):  # it has gone
                await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes them."""
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def _close_waiting(self) -> None:
        grace = self.config.timeout_graceful_shutdown
        await asyncio.sleep(LAST_CALL if grace is None else min(LAST_CALL, grace / 2))
        while True:
            for connection in list(self.server_state.connections):
                if isinstance(connection, EdgeProtocol):
                    connection.end_waiting()
            await asyncio.sleep(LAST_CALL / 10)


class EdgeServer(SideServer):
    """The public listener. `on_stop` is called at once when a signal asks to stop.

    `is_shared` says that other processes accept from the same sockets.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_started: Callable[[], None],
        on_stop: Callable[[], None],
        is_shared: bool = False,
    ) -> None:
        super().__init__(config)
        self._is_shared = is_shared
        self._on_started = on_started
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([] if self._is_shared else sockets)
        if self._is_shared:
            take = partial(asyncio.get_running_loop().connect_accepted_socket, self._protocol)
            self.servers = [Turns(each, take=take) for each in self._listeners]  # type: ignore[misc]
        keep_for_good()
        gc.set_threshold(50_000, 20, 50)
        self._on_started()

    async def _wait_tasks_to_complete(self) -> None:
        try:
            await super()._wait_tasks_to_complete()
        except asyncio.CancelledError:  # out of time: uvicorn cancels tasks, the fast lane has none
            for connection in list(self.server_state.connections):
                if isinstance(connection, EdgeProtocol | End):
                    connection.give_up()
            raise

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with uvicorn.Server.capture_signals(self):
            yield
            self._captured_signals.clear()  # a graceful stop ends with 0, not by the signal


async def run(
    public_config: uvicorn.Config,
    private_config: uvicorn.Config,
    *,
    public: socket.socket,
    private: socket.socket,
    on_started: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    """Serves both listeners until a signal, and finishes what is in flight."""
    side = SideServer(private_config)
    task = asyncio.create_task(side.serve(sockets=[private]))
    try:
        main = EdgeServer(public_config, on_started=on_started, on_stop=on_stop)
        await main.serve(sockets=[public])
    finally:
        side.should_exit = True
        await task


def keep_for_good() -> None:
    """All is built that will stay: the collector need not look at it again."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What the configuration says of the public listener.

    Times in seconds; the rest as `EdgeProtocol` has it.
    """

    lane: Any
    refusal: Refusal
    max_head: int
    max_fields: int
    max_connections: int
    header_timeout: float
    keep_alive: float
    graceful_shutdown: float


def edge_config(app: Any, settings: EdgeSettings) -> uvicorn.Config:
    """How the public listener runs; of `app` it runs the lifespan."""
    config = uvicorn.Config(
        app,
        http=type("BoundProtocol", (EdgeProtocol,), {"heads": OrdinaryHeads()}),
        lifespan="on",
        server_header=False,
        date_header=False,
        **_PLAIN,
    )
    renew(config, settings)
    return config


def renew(config: uvicorn.Config, settings: EdgeSettings) -> None:
    """From now on each request of every connection, open or not, is answered by these."""
    protocol: Any = config.http
    protocol.lane = staticmethod(settings.lane)
    protocol.refusal = staticmethod(settings.refusal)
    protocol.max_head = settings.max_head
    protocol.max_fields = settings.max_fields
    protocol.max_connections = settings.max_connections
    protocol.header_timeout = settings.header_timeout
    config.timeout_keep_alive = settings.keep_alive  # type: ignore[assignment]  # any number will do
    grace = settings.graceful_shutdown
    until_cut = grace - min(ENDING, grace / 4)
    config.timeout_graceful_shutdown = until_cut  # type: ignore[assignment]


def in_flight(config: uvicorn.Config) -> int:
    """Requests of the public listener that are under way; an open WebSocket is none."""
    protocol: Any = config.http
    return sum(each.in_flight for each in protocol.present if isinstance(each, EdgeProtocol))


def side_config(app: Any) -> uvicorn.Config:
    """How the admin listener runs."""
    return uvicorn.Config(app, lifespan="off", server_header=False, **_PLAIN)
