"""What `cors` of a route needs elsewhere, for its pages to get along: doubts, never faults."""

from collections.abc import Iterator, Mapping

from gateway.config.endpoints import Served, served_endpoints
from gateway.config.faults import KeyPath
from gateway.config.issuer import IssuerConfig
from gateway.config.parts import Parts
from gateway.config.route import RouteConfig, covers_path

Findings = Iterator[tuple[KeyPath, str]]


def cross_origin_doubts(parts: Parts) -> Findings:
    issuers = {str(path[-1]): one for path, one in parts.of_kind(IssuerConfig).items()}
    routes = parts.of_kind(RouteConfig)
    for path, route in routes.items():
        cors = route.cors
        if cors is None:
            continue
        if cors.credentials and "null" in cors.origins:
            yield (
                (*path, "cors", "origins"),
                "any site can open a page of origin null, which may then act for its visitor: "
                "leave out null or credentials",
            )
        if route.auth != "none" and "*" not in cors.headers:
            yield from _unsendable(path, route, issuers)
    for name in issuers:
        yield from _unreadable(name, issuers, list(routes.values()), parts)


def _unsendable(path: KeyPath, route: RouteConfig, issuers: Mapping[str, IssuerConfig]) -> Findings:
    """A header for the token that pages may not set."""
    allowed = {name.lower() for name in route.cors.headers} if route.cors is not None else set()
    wanted = {issuers[name].auth_header_name for name in route.issuers if name in issuers}
    for name in sorted(wanted):
        if name.lower() not in allowed:
            yield (*path, "cors", "headers"), f"pages can't send their token: {name} is not in it"


def _unreadable(
    name: str, issuers: Mapping[str, IssuerConfig], routes: list[RouteConfig], parts: Parts
) -> Findings:
    """Token paths that pages can't use, though they may use what the tokens are for."""
    if not any(route.cors and route.auth != "none" and name in route.issuers for route in routes):
        return
    served = served_endpoints(issuers, parts.upstreams)
    paths = [one.path for one in served if one.issuer == name and not _is_covered(one, routes)]
    if paths:
        yield (
            ("issuers", name, "endpoints"),
            "pages of other origins may call routes of this issuer, and can't use "
            f"{', '.join(paths)}: no route with cors covers them",
        )


def _is_covered(one: Served, routes: list[RouteConfig]) -> bool:
    """Whether a POST to this path would take a route with `cors`, under some host."""
    for route in routes:
        takes_post = route.methods is None or "POST" in route.methods
        if takes_post and covers_path(route.path, f"={one.path}"):
            if route.cors is not None:
                return True
            if route.hosts is None:
                return False
    return False
