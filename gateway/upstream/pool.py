"""The connections to one upstream: kept alive, bounded, handed out last-in first-out.

One sweeper per upstream looks at everything that waits, instead of a timer per request: it closes
idle connections before the upstream does (Gunicorn: 2 s), and ends exchanges that wait too long.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.config import ServerAddress, UpstreamConfig
from gateway.errors import AuthenticationFailed, Flaw, UpstreamError
from gateway.identity import Identity
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.keepalive import probe_when_silent
from gateway.upstream.ordinary_answer import OrdinaryAnswers

LONG_WAIT = 0.5  # seconds after which an exchange starts to watch for its client leaving


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; `connections` per server and worker."""

    connect: float = 2.0
    read: float = 60.0
    idle: float = 1.0
    connections: int = 256

    @property
    def tick(self) -> float:
        """How often to sweep: deadlines are kept to a tenth."""
        return min(0.25, max(0.01, min(self.read, self.idle) / 20))


class Upstream:
    """A named upstream server with its pool. `start` and `stop` belong to the lifespan."""

    def __init__(self, *, name: str, server: ServerAddress, limits: Limits) -> None:
        self.name = name
        self.server = server
        self.limits = limits
        self.authority = (  # for requests that keep no Host of their own
            _authority(server) if server.path is None else b"localhost"
        )
        self._idle: list[UpstreamConnection] = []
        self._busy: set[UpstreamConnection] = set()
        self._connecting = 0
        self._answers = OrdinaryAnswers()
        self._waiters: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._promised = 0  # places that are kept for waiters who were told so
        self._sweeper: asyncio.Task[None] | None = None
        self._is_stopped = False

    @classmethod
    def build(cls, name: str, settings: UpstreamConfig) -> "Upstream":
        """The upstream of these settings."""
        limits = Limits(
            connect=settings.timeouts.connect,
            read=settings.timeouts.read,
            idle=settings.timeouts.idle,
            connections=settings.max_connections,
        )
        return cls(name=name, server=settings.servers[0], limits=limits)

    def __repr__(self) -> str:
        return (
            f"<Upstream {self.name} idle={len(self._idle)} busy={len(self._busy)} "
            f"connecting={self._connecting} waiting={len(self._waiters)}>"
        )

    @property
    def open_connections(self) -> int:
        return len(self._idle) + len(self._busy) + self._connecting

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    @property
    def is_in_use(self) -> bool:
        """Whether a request is under way here."""
        return bool(self._busy or self._connecting or self._waiters)

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep(), name=f"sweeper {self.name}")

    async def stop(self) -> None:
        self._is_stopped = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for connection in [*self._idle, *self._busy]:
            connection.abort()

    def take(self) -> UpstreamConnection | None:
        """An idle connection, if one is there: the one used last."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed:
                connection.is_reused = True
                self._busy.add(connection)
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection, or an idle one that comes free while all are busy.

        Raises UpstreamError: refused (502), timed out (504), saturated (503).
        """
        if self._is_stopped:  # nobody would look after the connection
            raise UpstreamError.refused()
        deadline = asyncio.get_running_loop().time() + self.limits.connect
        while not self._has_place:
            connection = self.take() or await self._wait_for_place(deadline)
            if connection is None:
                self._promised -= 1
                break
            if not connection.is_closed:
                return connection
        connection = None
        self._connecting += 1
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._open()
            if connection.is_closed:
                raise UpstreamError.broken("the upstream closed the connection at once")
        except TimeoutError as error:
            raise UpstreamError.timeout() from error
        except OSError as error:
            raise UpstreamError.refused() from error
        finally:
            self._connecting -= 1
            if connection is None or connection.is_closed:
                self._wake_waiter()
        self._busy.add(connection)
        return connection

    @property
    def _has_place(self) -> bool:
        """Whether one more connection may be opened, by somebody who has not waited for it."""
        return self.open_connections + self._promised < self.limits.connections

    async def _wait_for_place(self, deadline: float) -> UpstreamConnection | None:
        """Waits for its turn: a connection that came free, or None for the right to open one."""
        place: asyncio.Future[UpstreamConnection | None]
        place = asyncio.get_running_loop().create_future()
        self._waiters.append(place)
        has_place = False
        try:
            async with asyncio.timeout_at(deadline):
                connection = await place
            has_place = True
        except TimeoutError as error:
            raise UpstreamError.saturated() from error
        finally:
            if place in self._waiters:
                self._waiters.remove(place)
            if not has_place and place.done() and not place.cancelled():
                self._give_back(place.result())  # it came too late for this one
        return connection

    def _give_back(self, connection: UpstreamConnection | None) -> None:
        if connection is not None:
            self._freed(connection)
        else:
            self._promised -= 1
            self._wake_waiter()

    async def _open(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        server = self.server

        def protocol() -> UpstreamConnection:
            return UpstreamConnection(
                on_free=self._freed, on_lost=self._lost, loop=loop, answers=self._answers
            )

        if server.path is not None:
            _, connection = await loop.create_unix_connection(protocol, server.path)
        else:
            transport, connection = await loop.create_connection(protocol, server.host, server.port)
            probe_when_silent(transport.get_extra_info("socket"))
        return connection

    def _freed(self, connection: UpstreamConnection) -> None:
        self._busy.discard(connection)
        if connection.is_reusable:
            connection.idle_since = connection.loop.time()
            if (waiter := self._next_waiter()) is None:
                self._idle.append(connection)
            else:  # straight to who has waited longest: nobody who comes now may be faster
                connection.is_reused = True
                self._busy.add(connection)
                waiter.set_result(connection)
        else:
            connection.close()
            self._wake_waiter()

    def _lost(self, connection: UpstreamConnection) -> None:
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_waiter()

    def _wake_waiter(self) -> None:
        if self._has_place and (waiter := self._next_waiter()) is not None:
            self._promised += 1
            waiter.set_result(None)

    def _next_waiter(self) -> "asyncio.Future[UpstreamConnection | None] | None":
        while self._waiters:
            place = self._waiters.popleft()
            if not place.done():
                return place
        return None

    def end_revoked(self, has_ended: Callable[[Identity], bool]) -> None:
        """Cuts the answers under way to bearers whose session has ended."""
        for connection in list(self._busy):
            exchange = connection.exchange
            bearer = exchange.bearer if exchange is not None else None
            if exchange is not None and bearer is not None and has_ended(bearer):
                exchange.on_failure(AuthenticationFailed(Flaw.REVOKED, issuer=bearer.issuer))

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.tick)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """One look at everything that waits; `now` is the loop's time."""
        limits = self.limits
        oldest = now - limits.idle
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.pop(0).close()
        for connection in list(self._busy):
            exchange = connection.exchange
            if exchange is None:
                continue
            if exchange.is_overdue(now, limits.read):
                exchange.expire()
            elif exchange.on_long_wait is not None and now - exchange.started > LONG_WAIT:
                notice, exchange.on_long_wait = exchange.on_long_wait, None
                notice()


def _authority(server: ServerAddress) -> bytes:
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port}".encode()
