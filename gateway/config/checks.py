"""What one key can't know alone: references, contradictions, routes that nothing reaches.

Each check yields key paths with messages; whoever calls it knows the lines.
"""

import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec

from gateway.config.cross_origin import cross_origin_doubts
from gateway.config.faults import KeyPath, written
from gateway.config.issuer import IssuerConfig
from gateway.config.life_cycle import life_cycle, life_cycle_doubts, same_endpoints
from gateway.config.parts import Parts
from gateway.config.route import RouteConfig, covers_host, covers_path
from gateway.config.server import AdminConfig, ServerConfig, StoreConfig, TracingConfig
from gateway.config.upstream import UpstreamConfig
from gateway.config.wording import no_such

Findings = Iterator[tuple[KeyPath, str]]

_KEY_FAMILIES = {"HS": "HMAC", "RS": "RSA", "PS": "RSA", "ES": "elliptic curves", "Ed": "EdDSA"}

_SHORT_TOKEN = 16

# RFC 9110 §7.6.1, RFC 9112 §6, and what the gateway itself says about the connection.
_OTEL = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_OURS = re.compile(
    "connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-length"
    "|expect|host|forwarded|via|x-forwarded-.*",
    re.IGNORECASE,
)


def check(parts: Parts) -> Findings:
    """Everything that makes the configuration unusable as a whole."""
    for path, issuer in parts.of_kind(IssuerConfig).items():
        yield from _issuer(path, issuer, parts)
    issuers = {str(path[-1]): issuer for path, issuer in parts.of_kind(IssuerConfig).items()}
    for path, upstream in parts.of_kind(UpstreamConfig).items():
        if parts.is_whole(path, "identity", "identity_headers", "mint"):
            yield from _identity(path, upstream)
            yield from _servers(path, upstream)
        yield from _mint(path, upstream, issuers, parts)
    routes = parts.of_kind(RouteConfig)
    for path, route in routes.items():
        yield from _route(path, route, parts)
    yield from _shadows(routes, parts)
    yield from same_endpoints(issuers, parts)
    yield from _listeners(parts)
    yield from _extras(parts)


def doubts(parts: Parts) -> Findings:
    """What works, and is probably not meant."""
    yield from life_cycle_doubts(parts)
    yield from cross_origin_doubts(parts)
    for path, admin in parts.of_kind(AdminConfig).items():
        if admin.token is not None and len(admin.token.reveal()) < _SHORT_TOKEN:
            told = f"short enough to be guessed: take {_SHORT_TOKEN} random characters or more"
            yield (*path, "token"), told
    for path, server in parts.of_kind(ServerConfig).items():
        if server.socket_path is not None and int(server.socket_mode, 8) & stat.S_IWOTH:
            told = "every user of this machine may connect, and is believed as a trusted proxy"
            yield (*path, "socket_mode"), told
    routes = parts.of_kind(RouteConfig).values()
    upstreams = parts.of_kind(UpstreamConfig).values()
    believed = {name for route in routes for name in route.issuers}
    believed |= {upstream.mint.issuer for upstream in upstreams if upstream.mint is not None}
    reached = {route.upstream for route in routes}
    is_counted_alone = _is_in_memory(parts) and any(
        server.workers > 1 for server in parts.of_kind(ServerConfig).values()
    )
    for path, route in parts.of_kind(RouteConfig).items():
        if is_counted_alone and route.rate_limit is not None:
            yield (
                (*path, "rate_limit"),
                "with memory:// each worker counts alone, and admits as much as this",
            )
    for name in parts.issuers:
        if name not in believed:
            yield ("issuers", name), "no route and no mint uses this issuer"
    for name in parts.upstreams:
        if name not in reached:
            yield ("upstreams", name), "no route leads to this upstream"


def _listeners(parts: Parts) -> Findings:
    for server in parts.of_kind(ServerConfig).values():
        if server.workers > 1 and _is_in_memory(parts) and _keeps_sessions(parts):
            yield (
                ("server", "workers"),
                "more than one worker needs a store that they share: memory:// is each worker's "
                "own, and a logout at one would be none at the others; set store.url to a Redis",
            )
        for admin in parts.of_kind(AdminConfig).values():
            if server.port and (server.host, server.port) == (admin.host, admin.port):
                yield ("admin", "port"), "the admin listener needs an address of its own"


def _extras(parts: Parts) -> Findings:
    for tracing in parts.of_kind(TracingConfig).values():
        if tracing.otlp_endpoint is not None and not all(map(_is_installed, _OTEL)):
            yield (
                ("tracing", "otlp_endpoint"),
                "needs the extra otel, which is not installed: pip install 'gateway[otel]'",
            )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is absent
        return False


def _is_in_memory(parts: Parts) -> bool:
    return any(store.url.startswith("memory:") for store in parts.of_kind(StoreConfig).values())


def _keeps_sessions(parts: Parts) -> bool:
    """Whether sessions begin or end here."""
    issuers = parts.of_kind(IssuerConfig).values()
    return any(issuer.endpoints.paths() or issuer.revoke_on for issuer in issuers)


def _issuer(path: KeyPath, issuer: IssuerConfig, parts: Parts) -> Findings:
    families = {_KEY_FAMILIES[algorithm[:2]] for algorithm in issuer.algorithm}
    if len(families) > 1:
        yield (*path, "algorithm"), f"mixes families of keys: {', '.join(sorted(families))}"
    if issuer.jwk_url and "HMAC" in families and parts.is_whole(path, "algorithm"):
        yield (*path, "jwk_url"), "holds public keys, so algorithm can't be one of HMAC (HS…)"
    has_key = issuer.signing_key or issuer.verifying_key or issuer.jwk_url
    if not has_key and parts.is_whole(path, "signing_key", "verifying_key", "jwk_url"):
        yield (*path, "signing_key"), "required without verifying_key or jwk_url"
    if issuer.upstream is not None and issuer.upstream not in parts.upstreams:
        yield (
            (*path, "upstream"),
            no_such("upstream", issuer.upstream, parts.upstreams),
        )
    if _OURS.fullmatch(issuer.auth_header_name):
        yield (*path, "auth_header_name"), "this header belongs to the connection"
    yield from life_cycle(path, issuer, parts)


def _servers(path: KeyPath, upstream: UpstreamConfig) -> Findings:
    seen: set[str] = set()
    for index, server in enumerate(upstream.servers):
        if server.url in seen:
            yield (*path, "servers", index), "the same server as one before; give it a weight"
        seen.add(server.url)


def _identity(path: KeyPath, upstream: UpstreamConfig) -> Findings:
    where = (*path, "identity_headers")
    if upstream.identity == "headers" and not upstream.identity_headers:
        yield (*path, "identity"), "headers needs identity_headers"
    if upstream.identity == "mint" and upstream.mint is None:
        yield (*path, "identity"), "mint needs mint: {issuer: NAME}"
    if upstream.identity != "mint" and upstream.mint is not None:
        yield (*path, "mint"), "only for identity: mint"
    if upstream.identity != "headers" and upstream.identity_headers:
        yield where, "only for identity: headers"
    seen: set[str] = set()
    for name in upstream.identity_headers:
        folded = name.lower()
        if _OURS.fullmatch(name):
            yield (*where, name), "this header belongs to the connection or to the gateway"
        if folded in seen:
            yield (*where, name), "the same header as one before; letter case does not matter"
        seen.add(folded)


def _mint(
    path: KeyPath, upstream: UpstreamConfig, issuers: Mapping[str, IssuerConfig], parts: Parts
) -> Findings:
    mint = upstream.mint
    if mint is None:
        return
    where = (*path, "mint", "issuer")
    if mint.issuer not in parts.issuers:
        yield where, no_such("issuer", mint.issuer, parts.issuers)
    elif (
        mint.issuer in issuers
        and issuers[mint.issuer].signing_key is None
        and parts.is_whole(("issuers", mint.issuer), "signing_key")
    ):
        yield where, "this issuer has no signing_key to mint with"


def _route(path: KeyPath, route: RouteConfig, parts: Parts) -> Findings:
    if route.upstream not in parts.upstreams:
        yield (
            (*path, "upstream"),
            no_such("upstream", route.upstream, parts.upstreams),
        )
    if route.auth != "none" and not route.issuers and parts.is_whole(path, "auth", "issuers"):
        yield (*path, "auth"), f"{route.auth} needs issuers: [NAME]"
    if route.auth == "none" and route.require:
        yield (*path, "require"), "needs a token; auth is none"
    if route.websocket is not None:
        if route.auth == "none" and (route.websocket.subprotocol or route.websocket.query):
            yield (*path, "websocket"), "names where a token stands; auth is none"
        if route.methods is not None and "GET" not in route.methods:
            yield (*path, "websocket"), "a WebSocket is asked for by GET, which methods leaves out"
    for index, name in enumerate(route.issuers):
        where = (*path, "issuers", index)
        if name not in parts.issuers:
            yield where, no_such("issuer", name, parts.issuers)
        elif name in route.issuers[:index]:
            yield where, "named twice"
    if route.cors is not None and route.cors.credentials and "*" in route.cors.origins:
        yield (*path, "cors", "credentials"), "needs named origins, not *"


def _shadows(routes: Mapping[KeyPath, RouteConfig], parts: Parts) -> Findings:
    earlier: list[tuple[KeyPath, RouteConfig]] = []
    for path, route in routes.items():
        if not parts.is_whole(path, "methods", "hosts"):
            continue
        for other_path, other in earlier:
            if _covers(other, route):
                yield (*path, "path"), f"never reached: {written(other_path)} answers all of it"
                break
        earlier.append((path, route))


def _covers(first: RouteConfig, second: RouteConfig) -> bool:
    """Whether each request that `second` matches is one that `first` matches."""
    return (
        covers_path(first.path, second.path)
        and _covers_all(first.methods, second.methods, str.__eq__)
        and _covers_all(first.hosts, second.hosts, covers_host)
    )


def _covers_all(
    first: Sequence[str] | None, second: Sequence[str] | None, covers: Callable[[str, str], bool]
) -> bool:
    """None stands for all."""
    if first is None:
        return True
    return second is not None and all(any(covers(one, other) for one in first) for other in second)
