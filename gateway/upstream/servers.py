"""Which servers an upstream has, which of them may be asked, and which one is.

Rules
- A server that is not well is not asked, unless none is: then all are (Envoy's panic mode). One
  whose circuit is open is never asked.
- One that leaves finishes what it has.
"""

import math
from collections.abc import Callable, Iterator, Sequence

from gateway.config import ServerAddress
from gateway.upstream.balancing import Choice, join_turns, took_turn
from gateway.upstream.server import Server


class Servers:
    """The servers of one upstream; `build(address, ip)` makes one.

    `on_none()` is called when none may be asked any more. `only` is the one server there is, where
    nothing need be asked of it.
    """

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        *,
        build: Callable[[ServerAddress, str | None], Server],
        choose: Choice,
        on_none: Callable[[], None],
    ) -> None:
        self._on_none = on_none
        self._build = build
        self._choose = choose
        self._present: list[Server] = []
        self._leaving: list[Server] = []
        self._usable: list[Server] = []
        self.only: Server | None = None
        for address in addresses:
            self._add(address, None)

    def __iter__(self) -> Iterator[Server]:
        """All, those included that are leaving."""
        yield from self._present
        yield from self._leaving

    def __repr__(self) -> str:
        return repr(list(self))

    @property
    def present(self) -> Sequence[Server]:
        """Those that have not left."""
        return self._present

    @property
    def is_any_usable(self) -> bool:
        return bool(self._usable)

    @property
    def in_flight(self) -> int:
        """Requests at those that have not left."""
        return sum(server.in_flight for server in self._present)

    def pick(self, avoid: Sequence[Server] = ()) -> Server | None:
        """The server for the next request; None while all are busy, or none is to be asked.

        One that is to be avoided only where there is no other.
        """
        able = [server for server in self._usable if server.idle or server.has_room]
        if avoid:
            able = [server for server in able if server not in avoid] or able
        if len(able) > 1:
            return self._choose(able)
        return able[0] if able else None

    def chosen(self, server: Server) -> None:
        """A request goes there."""
        took_turn(server)
        server.health.asked()

    def has_other(self, than: Sequence[Server]) -> bool:
        """Whether there is one to ask beside these."""
        return any(server not in than for server in self._usable)

    def retry_in(self, now: float) -> int:
        """Whole seconds after which a circuit is tried."""
        breakers = [server.health.breaker for server in self._present]
        return math.ceil(min((each.retry_in(now) for each in breakers if each), default=0)) or 1

    def looked_up(self, address: ServerAddress, ips: Sequence[str]) -> None:
        """The name of this server stands for these addresses now."""
        known = {server.ip: server for server in self._present if server.address is address}
        for ip in ips:
            if ip not in known:
                self._add(address, ip)
        for known_ip, server in known.items():
            if known_ip not in ips:
                self._present.remove(server)
                self._leaving.append(server)
                server.leave()
        self.refresh()

    def refresh(self) -> None:
        """Who may be asked has changed."""
        closed = [server for server in self._present if server.health.may_be_asked]
        usable = [server for server in closed if server.health.is_well] or closed
        for server in usable:
            if server not in self._usable:
                join_turns(server, self._usable)
        for server in self:
            server.is_usable = server in usable
        self._usable = usable
        is_plain = len(self._present) == 1 and bool(usable) and usable[0].health.breaker is None
        self.only = usable[0] if is_plain else None
        if not usable:
            self._on_none()
        for server in usable:
            server.wake()

    def forget(self) -> None:
        """What is known of the servers outlives them; they are not to be told of changes."""
        for server in self:
            server.health.forget()

    def sweep(self, now: float) -> None:
        """One look at everything that waits."""
        for server in self:
            server.sweep(now)
            server.health.tick(now)
            server.share = server.address.weight * server.health.share(now)
        self._leaving = [server for server in self._leaving if server.in_flight or server.idle]

    def _add(self, address: ServerAddress, ip: str | None) -> None:
        server = self._build(address, ip)
        server.health.on_change = self.refresh
        join_turns(server, self._present)
        self._present.append(server)
        self.refresh()
