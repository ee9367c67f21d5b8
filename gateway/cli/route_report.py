"""The route table for people, and what happens to one request, step by step."""

import os
import re
from collections.abc import Iterator, Sequence

from gateway.admission import REFUSED_METHODS
from gateway.config import Config, Loaded, RouteConfig, Served, served_endpoints, upstream_of
from gateway.errors import RequestRefused, RouteNotFound
from gateway.request import host_name, is_valid_host, parse_target
from gateway.routing import OwnPaths, Route, RouteTable, explain

_URL = re.compile(r"(?:[A-Za-z]+://([^/?#]*))?(.*)", re.DOTALL)


def table(loaded: Loaded) -> Iterator[str]:
    """The routes in the order in which they are tried, numbered as in key paths.

    The token endpoints stand below: they answer before any route.
    """
    header = ("", "name", "hosts", "methods", "path", "auth", "issuers", "upstream")
    rows = [(f"[{n}]", *_columns(route)) for n, route in enumerate(loaded.config.routes)]
    yield from _aligned([header, *rows])
    served = _served(loaded.config)
    if served:
        yield ""
        yield "answered by the gateway itself, before any route:"
        columns = ("endpoint", "hosts", "methods", "path", "upstream")
        yield from _aligned([columns, *(_endpoint_columns(loaded.config, one) for one in served)])


def explanation(loaded: Loaded, method: str, url: str) -> Iterator[str]:
    """Each route that was tried with why it does not answer, and in the end what happens."""
    authority, target = _URL.fullmatch(url).groups()  # type: ignore[union-attr]
    if authority is not None and not is_valid_host(os.fsencode(authority)):
        yield "refused: 400 host_invalid: this URL names no valid host"
        return
    if authority is not None and not target.startswith("/"):
        target = f"/{target}"
    try:
        path, _ = parse_target(os.fsencode(target))
    except RequestRefused as refusal:
        yield f"refused: {refusal.status} {refusal.reason}: {refusal}"
        return
    host = host_name(os.fsencode(authority or ""))
    routes = RouteTable.compile(loaded.config.routes)
    yield f"{method} {_shown(path)} " + (f"for the host {host}" if host else "without a host")
    if method in REFUSED_METHODS:
        yield f"refused: 405 method_refused: {method} is never forwarded"
        return
    try:
        own = _own_paths(loaded.config).find(host, path)
    except RequestRefused as refusal:
        yield f"refused: {refusal.status} {refusal.reason}: {refusal}"
        return
    if own is not None:
        place = loaded.source.fault(("issuers", own[0].issuer), "").where
        pages = _pages(routes.find(method, host, path))
        yield f"{place}: {_own(loaded.config, method, *own)}{pages}"
        return
    steps = explain(routes, method, host, path)
    yield from _aligned([(f"routes[{n}]", step.name, why) for n, (step, why) in enumerate(steps)])
    try:
        found = routes.match(method, host, path)
    except RequestRefused as refusal:
        yield f"refused: {refusal.status} {refusal.reason}: {refusal}"
    except RouteNotFound as missing:
        yield f"answered: {missing.status} {missing.reason}: {missing}"
    else:
        place = loaded.source.fault(("routes", len(steps) - 1), "").where
        route = found.config
        ends = _ends_sessions(loaded.config, route, method, path)
        yield f"{place}: to upstream {route.upstream}; {_demand(route)}{ends}{_pages(found)}"


def _demand(route: RouteConfig) -> str:
    issuers = " or ".join(route.issuers)
    if route.auth == "required":
        return f"a token of {issuers} is required"
    return f"a token of {issuers} is verified if given" if route.auth == "optional" else "no token"


def _own_paths(config: Config) -> OwnPaths[tuple[Served, bool]]:
    """The token paths, and whether they are without their slash."""
    served = _served(config)
    exact = [(one.path, one.hosts, (one, False)) for one in served]
    bare = [(one.path.rstrip("/"), one.hosts, (one, True)) for one in served if one.path != "/"]
    return OwnPaths([*exact, *(each for each in bare if each[0] != each[2][0].path)])


def _own(config: Config, method: str, one: Served, is_bare: bool) -> str:
    if is_bare:
        return f"redirected with 301 to {one.path}, {one.key} of issuer {one.issuer}"
    upstream = upstream_of(one.issuer, config.issuers[one.issuer], tuple(config.upstreams))
    if one.key == "obtain" and method != "POST":
        return f"to upstream {upstream}; {one.key} of issuer {one.issuer} answers POST alone"
    return f"answered here: {one.key} of issuer {one.issuer}"


def _ends_sessions(config: Config, route: RouteConfig, method: str, path: bytes) -> str:
    ending = [
        name
        for name in route.issuers
        for one in config.issuers[name].revoke_on
        if method in one.methods and one.path.encode() == path and route.auth != "none"
    ]
    return f"; a success ends the sessions of the bearer ({', '.join(ending)})" if ending else ""


def _pages(route: Route | None) -> str:
    """Which pages of other origins can read the answer."""
    if route is None or route.config.cors is None:
        return ""
    origins = ", ".join(route.config.cors.origins)
    return f"; pages of {'any origin' if origins == '*' else origins} can read it"


def _served(config: Config) -> tuple[Served, ...]:
    return served_endpoints(config.issuers, tuple(config.upstreams))


def _endpoint_columns(config: Config, one: Served) -> tuple[str, ...]:
    upstream = upstream_of(one.issuer, config.issuers[one.issuer], tuple(config.upstreams))
    return (
        f"{one.issuer}:{one.key}",
        ",".join(one.hosts or ("*",)),
        "POST",
        one.path,
        upstream or "-",
    )


def _shown(path: bytes) -> str:
    return "".join(c if c.isprintable() else "?" for c in path.decode(errors="replace"))


def _columns(route: RouteConfig) -> tuple[str, ...]:
    return (
        route.name,
        ",".join(route.hosts or ("*",)),
        ",".join(route.methods or ("*",)),
        route.path,
        route.auth,
        ",".join(route.issuers) or "-",
        route.upstream,
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
