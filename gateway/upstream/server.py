"""One server of an upstream: its connections, kept alive, bounded, handed out last-in first-out.

Rule: a place that comes free goes to who has waited longest; nobody who comes now may be faster.
"""

import asyncio
import math
from collections.abc import Callable

from gateway.config import ServerAddress
from gateway.durations import Durations
from gateway.errors import AuthenticationFailed, Flaw, UpstreamError
from gateway.identity import Identity
from gateway.upstream.circuit import Circuit
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import AnswerSink
from gateway.upstream.health import Health
from gateway.upstream.keepalive import probe_when_silent
from gateway.upstream.limits import Limits
from gateway.upstream.ordinary_answer import OrdinaryAnswers
from gateway.upstream.waiting import Waiters

LONG_WAIT = 0.5  # seconds after which an exchange starts to watch for its client leaving


class Server:
    """The connections to one address; `ip` is what its name stands for, where that was looked up.

    `turn` and `share` are the balancer's.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        ip: str | None = None,
        limits: Limits,
        health: Health,
        answers: OrdinaryAnswers,
        durations: Durations,
        waiters: Waiters,
    ) -> None:
        self.address = address
        self.ip = ip
        self.name = server_name(address, ip)
        self.health = health
        self.turn = 0.0
        self.share = float(address.weight)
        self.idle: list[UpstreamConnection] = []
        self.busy: set[UpstreamConnection] = set()
        self.connecting = 0
        self.promised = 0  # places that are kept for waiters who were told so
        self.is_usable = True  # whether requests go here at present
        self.is_leaving = False  # no request comes here any more
        self._is_closed = False
        self.on_outcome: Callable[[float], None] | None = None
        self._limits = limits
        self._answers = answers
        self._durations = durations
        self._waiters = waiters

    def __repr__(self) -> str:
        return (
            f"<Server {self.name} idle={len(self.idle)} busy={len(self.busy)} "
            f"connecting={self.connecting}>"
        )

    @property
    def open_connections(self) -> int:
        return len(self.idle) + len(self.busy) + self.connecting

    @property
    def in_flight(self) -> int:
        """Requests that are there, or about to be."""
        return len(self.busy) + self.connecting + self.promised

    @property
    def has_room(self) -> bool:
        """Whether one more connection may be opened, by somebody who has not waited for it."""
        return self.open_connections + self.promised < self._limits.connections

    def take(self, *, is_replayable: bool) -> UpstreamConnection | None:
        """An idle connection, if one is there: the one used last.

        What can't be sent twice gets none that has ended, as far as the kernel knows.
        """
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.is_closed:
                continue
            if not is_replayable and connection.has_ended():
                connection.close()
                continue
            connection.is_reused = True
            self.busy.add(connection)
            return connection
        return None

    async def dial(self) -> UpstreamConnection:
        """A new connection; raises UpstreamError: refused or broken (502), timed out (504)."""
        loop = asyncio.get_running_loop()
        connection: UpstreamConnection | None = None
        self.connecting += 1
        try:
            async with asyncio.timeout(self._limits.connect):
                connection = await self._open(loop)
            if connection.is_closed:
                raise UpstreamError.broken("the upstream closed the connection at once")
        except TimeoutError as error:
            self.health.not_connected(loop.time())
            raise UpstreamError.timeout() from error
        except OSError as error:
            self.health.not_connected(loop.time())
            raise UpstreamError.refused() from error
        except UpstreamError:
            self.health.failed(loop.time())
            raise
        except asyncio.CancelledError:
            self.health.given_up()
            raise
        finally:
            self.connecting -= 1
            if connection is None or connection.is_closed:
                self.wake()
        if self._is_closed:  # meanwhile; nobody would look after the connection
            connection.abort()
            raise UpstreamError.refused()
        self.health.connected(loop.time())
        self.busy.add(connection)
        return connection

    async def _open(self, loop: asyncio.AbstractEventLoop) -> UpstreamConnection:
        address = self.address

        def protocol() -> UpstreamConnection:
            return UpstreamConnection(owner=self, loop=loop, answers=self._answers)

        if address.path is not None:
            _, connection = await loop.create_unix_connection(protocol, address.path)
        else:
            host = self.ip or address.host
            transport, connection = await loop.create_connection(protocol, host, address.port)
            probe_when_silent(transport.get_extra_info("socket"))
        return connection

    def let_go(self, connection: UpstreamConnection) -> None:
        """A connection that was handed out and is not used: another one is opened in its place."""
        self.busy.discard(connection)
        connection.close()

    # What a connection tells of itself

    def freed(self, connection: UpstreamConnection, exchange: AnswerSink, status: int) -> None:
        """Its exchange is over, with this status, 0 where no whole answer came."""
        self.busy.discard(connection)
        now = connection.loop.time()
        if status:
            seconds = now - exchange.started
            self._durations.add(seconds)
            if self.on_outcome is not None and status < 400:  # refusals are quick
                self.on_outcome(seconds)
            if self.health.breaker is not None:
                self.health.answered(status, now)
        else:
            self.health.given_up()
        if connection.is_reusable and not self.is_leaving:
            self._offer(connection, now)
        else:
            connection.close()
            self.wake()

    def _offer(self, connection: UpstreamConnection, now: float) -> None:
        connection.idle_since = now
        waiter = self._waiters.next() if self._waiters and self.is_usable else None
        if waiter is None:
            self.idle.append(connection)
        else:
            connection.is_reused = True
            self.busy.add(connection)
            waiter.set_result(connection)

    def failed(self, connection: UpstreamConnection) -> None:
        """It gave no whole answer; being closed while it was kept is no fault."""
        if not connection.was_stale:
            self.health.failed(connection.loop.time())

    def lost(self, connection: UpstreamConnection) -> None:
        if connection in self.busy:  # it became a WebSocket's
            self.health.given_up()
            self.busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self.wake()

    # The upstream's side

    def give_back(self, place: "UpstreamConnection | Server") -> None:
        """What came too late for who had waited for it."""
        if isinstance(place, UpstreamConnection):
            self.busy.discard(place)
            self._offer(place, place.loop.time())
        else:
            self.promised -= 1
            self.wake()

    def wake(self) -> None:
        """Tells those who wait longest that connections may be opened here: one, for a try."""
        breaker = self.health.breaker
        most = 1 if breaker is not None and breaker.state is Circuit.HALF_OPEN else math.inf
        while self._waiters and self.has_room and self.is_usable and self.promised < most:
            waiter = self._waiters.next()
            if waiter is None:
                return
            self.promised += 1
            waiter.set_result(self)

    def leave(self) -> None:
        """No further request comes here; those that are here go on."""
        self.is_leaving = True
        for connection in self.idle:
            connection.close()

    def abort(self) -> None:
        """Ends all connections at once."""
        self.is_leaving = self._is_closed = True
        for connection in [*self.idle, *self.busy]:
            connection.abort()

    def sweep(self, now: float) -> None:
        """One look at everything that waits; `now` is the loop's time."""
        limits = self._limits
        oldest = now - limits.idle
        while self.idle and self.idle[0].idle_since <= oldest:
            self.idle.pop(0).close()
        for connection in list(self.busy):
            exchange = connection.exchange
            if exchange is None:
                continue
            limit = limits.read if connection.has_answered else limits.first_byte
            if exchange.is_overdue(now, limit, limits.total):
                if not connection.has_answered:
                    self.health.failed(now)
                exchange.expire()
            elif exchange.on_long_wait is not None and now - exchange.started > LONG_WAIT:
                notice, exchange.on_long_wait = exchange.on_long_wait, None
                notice()

    def end_revoked(self, has_ended: Callable[[Identity], bool]) -> None:
        """Cuts the answers under way to bearers whose session has ended."""
        for connection in list(self.busy):
            exchange = connection.exchange
            bearer = exchange.bearer if exchange is not None else None
            if exchange is not None and bearer is not None and has_ended(bearer):
                exchange.on_failure(AuthenticationFailed(Flaw.REVOKED, issuer=bearer.issuer))


def server_name(address: ServerAddress, ip: str | None) -> str:
    """As logs and metrics have it."""
    if ip is None:
        return address.url
    return f"http://{bracketed(ip)}:{address.port}"


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
