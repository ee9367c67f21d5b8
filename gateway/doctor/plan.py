"""What is asked of an upstream, and by which name: read off the routes that lead there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.config import Config, RouteConfig, ServerAddress, UpstreamConfig
from gateway.doctor.finding import Subject
from gateway.doctor.probe import Probe, Seen, Unanswered
from gateway.routing import Route, RouteTable

_LOCAL = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Asked:
    """A path that a route answers by GET, and that route."""

    path: str
    route: RouteConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """One upstream: its paths, and the host names that clients use (`named`)."""

    name: str
    settings: UpstreamConfig
    asked: tuple[Asked, ...]
    named: tuple[str, ...]
    is_behind_tls: bool  # whether anybody may tell the gateway that a client came by https
    forgeable: tuple[str, ...]  # identity headers of other upstreams: names this site uses

    def hosts(self, address: ServerAddress) -> tuple[str, ...]:
        """By which names to ask, the likeliest first; Django refuses those it does not know."""
        own = authority(self.settings.servers[0])
        if not self.settings.preserve_host:
            return tuple(dict.fromkeys([own, *_LOCAL]))
        check = self.settings.health_check
        checked = [check.host] if check is not None and check.host is not None else []
        return tuple(dict.fromkeys([*self.named, *checked, *_LOCAL, authority(address)]))

    @property
    def first_path(self) -> str:
        return self.asked[0].path if self.asked else "/"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A view that turns away who brings no token, and what it answered then."""

    path: str
    route: RouteConfig
    refusal: Seen


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """One server of an upstream, and what its checks share."""

    plan: Plan
    probe: Probe
    subject: Subject
    scheme: str  # by which clients are served, and not redirected
    guarded: tuple[Guarded, ...]
    is_exposed: bool  # whether others than this machine can reach it

    async def ask(self, path: str, fields: Mapping[str, str] | None = None) -> Seen:
        """GET as the gateway would ask for a client; raises Unanswered."""
        told = gateway_fields(self.probe.host, self.scheme)
        return await self.probe.ask("GET", path, {**told, **(fields or {})})


def plans(config: Config, *, paths: Iterable[str] = ()) -> Iterator[Plan]:
    """One for each upstream; `paths` are further ones to ask, each of the upstream it leads to."""
    table = RouteTable.compile(config.routes)
    server = config.server
    headers = {name for each in config.upstreams.values() for name in each.identity_headers}
    for name, settings in config.upstreams.items():
        routes = [route for route in table.routes if route.config.upstream == name]
        named = [host for route in routes for host in route.config.hosts or () if "*" not in host]
        asked = [
            *_leading_to(name, table, paths, named),
            *(one for route in routes for one in _of_route(route)),
        ]
        yield Plan(
            name=name,
            settings=settings,
            asked=tuple(asked),
            named=tuple(dict.fromkeys(named)),
            is_behind_tls=bool(server.trusted_proxies) or server.socket_path is not None,
            forgeable=tuple(sorted(headers.difference(settings.identity_headers))),
        )


async def guarded_views(plan: Plan, probe: Probe, *, scheme: str) -> tuple[Guarded, ...]:
    """The first view of each guarded route that answers 401 or 403 to a request without a token."""
    found: list[Guarded] = []
    for asked in plan.asked:
        route = asked.route
        if route.auth == "none" or any(guarded.route is route for guarded in found):
            continue
        try:
            seen = await probe.ask("GET", asked.path, gateway_fields(probe.host, scheme))
        except Unanswered:
            continue
        if seen.status in (401, 403):
            found.append(Guarded(asked.path, route, seen))
    return tuple(found)


def gateway_fields(host: str, scheme: str) -> dict[str, str]:
    """What the gateway says of a client that has asked it for this host."""
    return {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": host}


def authority(address: ServerAddress) -> str:
    """What the gateway names a server where it does not keep the client's Host."""
    if address.path is not None:
        return "localhost"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _of_route(route: Route) -> Iterator[Asked]:
    if route.methods is not None and "GET" not in route.methods:
        return
    path = route.prefix.decode()
    yield Asked(path, route.config)
    if not route.is_exact and not path.endswith("/"):
        yield Asked(f"{path}/", route.config)  # as Django's own paths end


def _leading_to(
    upstream: str, table: RouteTable, paths: Iterable[str], named: Sequence[str]
) -> Iterator[Asked]:
    for path in paths:
        bare = path.partition("?")[0].encode()
        for host in (*named, *_LOCAL):
            route = table.find("GET", host, bare)
            if route is not None and route.config.upstream == upstream:
                yield Asked(path, route.config)
                break
