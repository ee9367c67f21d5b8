"""Which route answers a request: the first that matches wins, behind the gateway's own paths.

Paths are prefixes on segment borders (`/api` matches `/api` and `/api/x`, not `/apix`; `/api/`
does not match `/api`, which Django redirects), or exact with `=/path`. Pure: no I/O, no clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.config import RouteConfig, covers_host
from gateway.errors import RequestRefused, RouteNotFound
from gateway.request import simplified

Own = TypeVar("Own")

_KNOWN_REQUESTS = 4096  # bound of a table's memory


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One line of the route table, with its matcher taken apart."""

    name: str
    config: RouteConfig
    prefix: bytes
    is_exact: bool
    methods: frozenset[str] | None
    hosts: frozenset[str] | None
    host_suffixes: tuple[str, ...]

    @classmethod
    def compile(cls, config: RouteConfig) -> "Route":
        is_exact = config.path.startswith("=")
        hosts = config.hosts
        return cls(
            name=config.name,
            config=config,
            prefix=config.path.removeprefix("=").encode(),
            is_exact=is_exact,
            methods=frozenset(config.methods) if config.methods is not None else None,
            hosts=frozenset(h for h in hosts if not h.startswith("*."))
            if hosts is not None
            else None,
            host_suffixes=tuple(h[1:] for h in hosts or () if h.startswith("*.")),
        )

    def matches_path(self, path: bytes) -> bool:
        prefix = self.prefix
        if self.is_exact:
            return path == prefix
        if not path.startswith(prefix):
            return False
        return prefix.endswith(b"/") or len(path) == len(prefix) or path[len(prefix)] == 0x2F

    def matches_host(self, host: str) -> bool:
        if self.hosts is None:
            return True
        return host in self.hosts or host.endswith(self.host_suffixes or ("\0",))

    def mismatch(self, method: str, host: str, path: bytes) -> str | None:
        """Why this route does not answer, in a few words; None where it does."""
        if not self.matches_host(host):
            return "host differs"
        if not self.matches_path(path):
            return "path differs"
        if self.methods is not None and method not in self.methods:
            return "method differs"
        return None


class RouteTable:
    """The routes in the file's order; remembers the answers it gave last."""

    __slots__ = ("_known", "_routes")

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._known: dict[tuple[str, str, bytes], Route] = {}

    @classmethod
    def compile(cls, configs: Iterable[RouteConfig]) -> "RouteTable":
        return cls([Route.compile(config) for config in configs])

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def find(self, method: str, host: str, path: bytes) -> Route | None:
        for route in self._routes:
            if (
                route.matches_path(path)
                and (route.methods is None or method in route.methods)
                and (route.hosts is None or route.matches_host(host))
            ):
                return route
        return None

    def match(self, method: str, host: str, path: bytes) -> Route:
        """The route that answers.

        Raises RouteNotFound where none does, and RequestRefused (400) where a server that merges
        slashes would see a path that another route answers: nobody gets past a protected route
        by writing its path in another way.
        """
        key = (method, host, path)
        known = self._known.get(key)
        if known is not None:
            return known
        route = self.find(method, host, path)
        plain = simplified(path)
        if plain is not None and self.find(method, host, plain) is not route:
            raise RequestRefused(400, "path_invalid", "the path can be read in two ways")
        if route is None:
            raise RouteNotFound
        if len(self._known) >= _KNOWN_REQUESTS:
            self._known.clear()
        self._known[key] = route
        return route


class OwnPaths(Generic[Own]):
    """The exact paths that the gateway answers itself, each under some or all host names."""

    __slots__ = ("_by_path",)

    def __init__(self, paths: Iterable[tuple[str, tuple[str, ...] | None, Own]] = ()) -> None:
        self._by_path: dict[bytes, list[tuple[tuple[str, ...] | None, Own]]] = {}
        for path, hosts, own in paths:
            self._by_path.setdefault(path.encode(), []).append((hosts, own))

    def find(self, host: str, path: bytes) -> Own | None:
        """Whose path this is.

        Raises RequestRefused (400) where only a server that merges slashes would see such a path:
        nobody gets at an upstream's own token views by writing the path in another way.
        """
        owners = self._by_path.get(path)
        found = self._among(owners, host) if owners is not None else None
        if found is not None or (plain := simplified(path)) is None:
            return found
        if self._among(self._by_path.get(plain, ()), host) is not None:
            raise RequestRefused(400, "path_invalid", "the path can be read in two ways")
        return None

    def _among(self, owners: Iterable[tuple[tuple[str, ...] | None, Own]], host: str) -> Own | None:
        for hosts, own in owners:
            if hosts is None or any(covers_host(each, host) for each in hosts):
                return own
        return None


def explain(table: RouteTable, method: str, host: str, path: bytes) -> list[tuple[Route, str]]:
    """Each route up to the one that answers, with why not, the last one with `answers`."""
    steps: list[tuple[Route, str]] = []
    for route in table.routes:
        why = route.mismatch(method, host, path)
        steps.append((route, why or "answers"))
        if why is None:
            break
    return steps
