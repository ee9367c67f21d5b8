"""An upstream: its servers, which of them is asked, and who waits until one is free.

One sweeper per upstream looks at everything that waits, instead of a timer per request: it closes
idle connections before the servers do (Gunicorn: 2 s), and ends exchanges that wait too long.

Rule: a connection that was not accepted burdens nobody, so another server is asked, whatever the
request.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.config import ServerAddress, UpstreamConfig
from gateway.durations import Durations
from gateway.errors import UpstreamError
from gateway.identity import Identity
from gateway.upstream.balancing import choice_of
from gateway.upstream.concurrency import ConcurrencyLimit
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.health import Health
from gateway.upstream.limits import Limits
from gateway.upstream.names import Names
from gateway.upstream.ordinary_answer import OrdinaryAnswers
from gateway.upstream.prober import Prober
from gateway.upstream.retrying import RetryBudget
from gateway.upstream.server import Server, bracketed, server_name
from gateway.upstream.servers import Servers
from gateway.upstream.waiting import Waiters

_LOG = logging.getLogger(__name__)


class Asking(Protocol):
    """What an upstream wants to know of a request.

    Whether it goes before others where not all can be served, and whether it may be sent twice.
    """

    @property
    def is_urgent(self) -> bool: ...
    @property
    def is_idempotent(self) -> bool: ...


class Upstream:
    """A named upstream of these settings. `start` and `stop` belong to the lifespan.

    What a `predecessor` knew of its servers counts; `durations` is where answers' are counted.
    """

    def __init__(
        self,
        name: str,
        settings: UpstreamConfig,
        *,
        durations: Durations | None = None,
        predecessor: "Upstream | None" = None,
    ) -> None:
        self.name = name
        self.limits = Limits.of(settings)
        self.budget = RetryBudget()
        self.waiters = Waiters(self.limits.pending)
        adaptive = settings.adaptive_concurrency
        self.concurrency = ConcurrencyLimit(adaptive) if adaptive is not None else None
        first = settings.servers[0]
        self.authority = (  # for requests that keep no Host of their own
            f"{bracketed(first.host)}:{first.port}".encode() if first.path is None else b"localhost"
        )
        self._settings = settings
        before = predecessor.servers if predecessor is not None else ()
        self._known = {server.name: server.health for server in before}
        self._durations = durations or Durations()
        self._answers = OrdinaryAnswers()
        self._asked = 0  # since the last sweep
        self._swept = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopped = False
        self.servers: Servers = Servers(
            settings.servers,
            build=self._server,
            choose=choice_of(settings.load_balancing),
            on_none=lambda: self.waiters.refuse_all(UpstreamError.unhealthy(retry_after=1)),
        )

    def __repr__(self) -> str:
        return f"<Upstream {self.name} {self.servers!r} waiting={len(self.waiters)}>"

    @property
    def open_connections(self) -> int:
        return sum(server.open_connections for server in self.servers)

    @property
    def idle_connections(self) -> int:
        return sum(len(server.idle) for server in self.servers)

    @property
    def is_in_use(self) -> bool:
        """Whether a request is under way here."""
        return bool(self.waiters) or any(server.in_flight for server in self.servers)

    def start(self) -> None:
        settings = self._settings
        self._swept = asyncio.get_running_loop().time()
        running = [self._sweep()]
        names = Names(
            settings.servers, interval=settings.resolve_interval, looked_up=self.servers.looked_up
        )
        if names:
            running.append(names.run())
        if settings.health_check is not None:
            check = settings.health_check
            running.append(Prober(self.servers, check=check, authority=self.authority).run())
        self._tasks = [asyncio.create_task(each, name=f"upstream {self.name}") for each in running]

    async def stop(self) -> None:
        self._is_stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self.servers:
            server.abort()
        self.servers.forget()
        self._known = {}
        self.waiters.refuse_all(UpstreamError.refused())

    # Requests

    def take(self, asking: Asking) -> UpstreamConnection | None:
        """An idle connection to the server whose turn it is, if there is one."""
        servers = self.servers
        if self.concurrency is not None and not self._is_admitted(asking):
            return None
        server = servers.only or servers.pick()
        if server is None:
            return None
        may_repeat = asking.is_idempotent and self._settings.retries > 0
        connection = server.take(is_replayable=may_repeat)
        if connection is not None:
            self._asked += 1
            if servers.only is None:
                servers.chosen(server)
        return connection

    async def connect(
        self, asking: Asking, *, is_fresh: bool = False, lost: UpstreamConnection | None = None
    ) -> UpstreamConnection:
        """A new connection, or one that comes free while all are busy; never that if `is_fresh`.

        After a connection that was `lost` it is a fresh one, to another server if there is one.
        Raises UpstreamError: refused (502), timed out (504), saturated, overloaded or unhealthy
        (503).
        """
        left = self._settings.retries
        avoid: Sequence[Server] = ()
        if lost is not None:
            is_fresh, avoid = True, (server_of(lost),)
        while True:
            place = await self._place(asking, avoid)
            server = server_of(place)
            if isinstance(place, UpstreamConnection):
                if not (is_fresh or place.is_closed):
                    self._asked += 1
                    return place
                server.let_go(place)
            try:
                connection = await server.dial()
            except UpstreamError:
                avoid = (*avoid, server)
                if not (left and self.servers.has_other(avoid)):
                    raise
                left -= 1
                self.budget.spent += 1  # and none of what is left: nothing was sent
            else:
                self._asked += 1
                return connection

    async def _place(self, asking: Asking, avoid: Sequence[Server]) -> UpstreamConnection | Server:
        """Where to go: a connection that waits, or a server at which one may be opened."""
        if self._is_stopped:
            raise UpstreamError.refused()
        if not self.servers.is_any_usable:
            now = asyncio.get_running_loop().time()
            raise UpstreamError.unhealthy(retry_after=self.servers.retry_in(now))
        if self.concurrency is not None and not self._is_admitted(asking):
            raise UpstreamError.overloaded()
        server = self.servers.pick(avoid)
        if server is None:
            return await self._wait(asking)
        self.servers.chosen(server)
        return server.take(is_replayable=False) or server

    async def _wait(self, asking: Asking) -> UpstreamConnection | Server:
        place = self.waiters.join(is_urgent=asking.is_urgent)
        has_place = False
        try:
            async with asyncio.timeout(self.limits.queue):
                given = await place
            has_place = True
        except TimeoutError as error:
            raise UpstreamError.saturated() from error
        finally:
            self.waiters.leave(place)
            if not has_place and place.done() and not place.cancelled() and not place.exception():
                given = place.result()  # it came too late for this one
                server_of(given).give_back(given)
        if isinstance(given, Server):
            given.promised -= 1  # and dials at once
        self.servers.chosen(server_of(given))
        return given

    def _is_admitted(self, asking: Asking) -> bool:
        assert self.concurrency is not None  # asked by who knows
        return self.concurrency.admits(self.servers.in_flight, is_urgent=asking.is_urgent)

    def _server(self, address: ServerAddress, ip: str | None) -> Server:
        settings, name = self._settings, server_name(address, ip)
        health = Health(
            name,
            breaker=settings.circuit_breaker,
            check=settings.health_check,
            slow_start=settings.slow_start,
        )
        if name in self._known:
            health.inherit(self._known[name])
        server = Server(
            address,
            ip=ip,
            limits=self.limits,
            health=health,
            answers=self._answers,
            durations=self._durations,
            waiters=self.waiters,
        )
        if self.concurrency is not None:
            server.on_outcome = self.concurrency.took
        return server

    # Time

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.tick)
            try:
                self.sweep(loop.time())
            except Exception:  # noqa: BLE001 - logged with its trace; the next look is due
                _LOG.exception("the sweep of upstream %s failed", self.name)

    def sweep(self, now: float) -> None:
        """One look at everything that waits; `now` is the loop's time."""
        self.budget.earn(self._asked, now - self._swept)
        self._asked, self._swept = 0, now
        self.servers.sweep(now)
        if self.concurrency is not None:
            self.concurrency.tick(now)

    def end_revoked(self, has_ended: Callable[[Identity], bool]) -> None:
        """Cuts the answers under way to bearers whose session has ended."""
        for server in self.servers:
            server.end_revoked(has_ended)


def server_of(place: UpstreamConnection | Server) -> Server:
    """Where a place is, or to which server a connection of an upstream goes."""
    server = place if isinstance(place, Server) else place.owner
    assert isinstance(server, Server)  # the only owner there is
    return server
