"""From what is configured, counted and told by workers to what the admin API answers. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.config import Config, RateLimitConfig, RouteConfig, served_endpoints, upstream_of
from gateway.endpoints.admin import answers
from gateway.endpoints.admin.fleet import ServerState, State, UpstreamState
from gateway.stores.base import KnownSession
from gateway.telemetry.rates import Count, Place

_WORST = ("open", "half_open", "closed")  # first, of several workers' circuits


def routes(config: Config) -> answers.Routes:
    upstreams = tuple(config.upstreams)
    return answers.Routes(
        routes=[_route(one) for one in config.routes],
        endpoints=[
            answers.Endpoint(
                issuer=one.issuer,
                endpoint=one.key,
                hosts=_list(one.hosts),
                path=one.path,
                upstream=upstream_of(one.issuer, config.issuers[one.issuer], upstreams),
            )
            for one in served_endpoints(config.issuers, upstreams)
        ],
    )


def _route(route: RouteConfig) -> answers.Route:
    return answers.Route(
        name=route.name,
        hosts=_list(route.hosts),
        methods=_list(route.methods),
        path=route.path,
        auth=route.auth,
        issuers=[*route.issuers],
        upstream=route.upstream,
        rate_limit=_rate(route.rate_limit) if route.rate_limit is not None else None,
        priority=route.priority,
        cors=_list(route.cors.origins) if route.cors is not None else None,
        websocket=route.websocket is not None,
    )


def _rate(limit: RateLimitConfig) -> str:
    units = (("s", 1), ("m", 60), ("h", 3600), ("d", 86400))
    unit, seconds = next((each for each in units if limit.rate * each[1] >= 1), units[-1])
    return f"{limit.rate * seconds:g}/{unit} per {limit.per}"


def _list(values: Sequence[str] | None) -> list[str] | None:
    return [*values] if values is not None else None


def upstreams(config: Config, states: Sequence[State]) -> answers.Upstreams:
    """As all workers together see them; those of a configuration before are left out."""
    told: dict[str, list[UpstreamState]] = {name: [] for name in config.upstreams}
    for state in states:
        for upstream in state.upstreams:
            told.get(upstream.name, []).append(upstream)
    return answers.Upstreams(
        answering=len(states), upstreams=[_upstream(config, *each) for each in told.items()]
    )


def _upstream(config: Config, name: str, told: list[UpstreamState]) -> answers.Upstream:
    settings = config.upstreams[name]
    servers: dict[str, list[ServerState]] = {}
    for server in (server for state in told for server in state.servers):
        servers.setdefault(server.name, []).append(server)
    limits = [state.concurrency_limit for state in told if state.concurrency_limit is not None]
    return answers.Upstream(
        name=name,
        servers=[_server(*each) for each in servers.items()],
        pending_requests=sum(state.pending for state in told),
        load_balancing=settings.load_balancing,
        identity=settings.identity,
        max_connections=settings.max_connections,
        max_pending_requests=settings.max_pending_requests,
        concurrency_limit=round(sum(limits), 1) if limits else None,
    )


def _server(name: str, told: list[ServerState]) -> answers.Server:
    circuits = {state.circuit for state in told}
    return answers.Server(
        server=name,
        is_up=all(state.is_up for state in told),
        up_for=sum(state.is_up for state in told),
        is_ejected=any(state.is_ejected for state in told),
        fails_checks=any(state.fails_checks for state in told),
        circuit=next((word for word in _WORST if word in circuits), None),
        idle=sum(state.idle for state in told),
        busy=sum(state.busy for state in told),
        connecting=sum(state.connecting for state in told),
    )


def requests(counts: Mapping[Place, Count]) -> answers.Requests:
    return answers.Requests(
        routes=[*_requests(counts)],
        refreshes=[*_outcomes(counts, "gateway_refresh_total")],
        revocations=[*_outcomes(counts, "gateway_revocations_total")],
    )


def _requests(counts: Mapping[Place, Count]) -> Iterator[answers.RouteRequests]:
    asked = [place for place in counts if place[0] == "gateway_requests_total"]
    denied = [place for place in counts if place[0] == "gateway_denied_total"]
    for route in sorted({place[1] for place in (*asked, *denied)}):
        mine = [place for place in asked if place[1] == route]
        refused = [place for place in denied if place[1] == route]
        total, refusals = _sum(counts, mine), _sum(counts, refused)
        statuses: dict[str, int] = {}
        for place in mine:
            kind = f"{place[3][:1]}xx"
            statuses[kind] = statuses.get(kind, 0) + counts[place].total
        yield answers.RouteRequests(
            route=route,
            total=total.total,
            per_second=total.per_second,
            statuses=dict(sorted(statuses.items())),
            denied=refusals.total,
            denied_per_second=refusals.per_second,
            reasons=[
                answers.Reason(reason=place[2], **counts[place]._asdict())
                for place in sorted(refused)
            ],
        )


def _sum(counts: Mapping[Place, Count], places: Iterable[Place]) -> Count:
    found = [counts[place] for place in places]
    known = [one.per_second for one in found if one.per_second is not None]
    is_known = len(known) == len(found)
    return Count(sum(one.total for one in found), sum(known) if is_known else None)


def _outcomes(counts: Mapping[Place, Count], metric: str) -> Iterator[answers.Outcome]:
    for place in sorted(place for place in counts if place[0] == metric):
        yield answers.Outcome(issuer=place[1], word=place[2], **counts[place]._asdict())


def session(known: KnownSession) -> answers.Session:
    return answers.Session(
        id=known.id,
        began=answers.moment(known.began),
        refreshed=answers.moment(known.refreshed) if known.refreshed is not None else None,
        kept_until=answers.moment(round(known.kept_until)),
    )
