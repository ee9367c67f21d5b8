"""What one key can't know alone: references, contradictions, routes that nothing reaches.

Each check yields key paths with messages; whoever calls it knows the lines.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from gateway.config.endpoints import collisions, key_path, upstream_of
from gateway.config.faults import KeyPath, written
from gateway.config.issuer import IssuerConfig
from gateway.config.parts import Parts
from gateway.config.route import RouteConfig
from gateway.config.server import AdminConfig, ServerConfig, StoreConfig
from gateway.config.upstream import UpstreamConfig
from gateway.config.wording import no_such

Findings = Iterator[tuple[KeyPath, str]]

_KEY_FAMILIES = {"HS": "HMAC", "RS": "RSA", "PS": "RSA", "ES": "elliptic curves", "Ed": "EdDSA"}

# RFC 9110 §7.6.1, RFC 9112 §6, and what the gateway itself says about the connection.
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
        yield from _mint(path, upstream, issuers, parts)
    routes = parts.of_kind(RouteConfig)
    for path, route in routes.items():
        yield from _route(path, route, parts)
    yield from _shadows(routes, parts)
    yield from _same_endpoints(issuers, parts)
    yield from _listeners(parts)


def doubts(parts: Parts) -> Findings:
    """What works, and is probably not meant."""
    issuers = {str(path[-1]): issuer for path, issuer in parts.of_kind(IssuerConfig).items()}
    for one, rival in collisions(issuers, parts.upstreams):
        if not rival.is_named:
            yield (
                ("issuers", one.issuer),
                f"its default endpoints.{one.key} is the path of issuer {rival.issuer}, "
                "which answers it: set endpoints",
            )
    yield from _deaf(issuers, parts)
    yield from _shared_secrets(issuers)
    routes = parts.of_kind(RouteConfig).values()
    upstreams = parts.of_kind(UpstreamConfig).values()
    believed = {name for route in routes for name in route.issuers}
    believed |= {upstream.mint.issuer for upstream in upstreams if upstream.mint is not None}
    reached = {route.upstream for route in routes}
    for name in parts.issuers:
        if name not in believed:
            yield ("issuers", name), "no route and no mint uses this issuer"
    for name in parts.upstreams:
        if name not in reached:
            yield ("upstreams", name), "no route leads to this upstream"


def _listeners(parts: Parts) -> Findings:
    for server in parts.of_kind(ServerConfig).values():
        for store in parts.of_kind(StoreConfig).values():
            if server.workers > 1 and store.url.startswith("memory:"):
                yield (
                    ("server", "workers"),
                    "more than one worker needs a store that they share: memory:// is each "
                    "worker's own; set store.url to a Redis",
                )
        for admin in parts.of_kind(AdminConfig).values():
            if server.port and (server.host, server.port) == (admin.host, admin.port):
                yield ("admin", "port"), "the admin listener needs an address of its own"


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
    yield from _life_cycle(path, issuer, parts)


def _life_cycle(path: KeyPath, issuer: IssuerConfig, parts: Parts) -> Findings:
    has_upstream = upstream_of(str(path[-1]), issuer, parts.upstreams) is not None
    named = issuer.endpoints.model_fields_set if "endpoints" in issuer.model_fields_set else set()
    keys = ["obtain"] if issuer.signing_key is not None else ["obtain", "refresh"]
    for key in keys:
        if not has_upstream and key in named and getattr(issuer.endpoints, key) is not None:
            yield (*path, "endpoints", key), "needs upstream: NAME, where it is forwarded"
    if issuer.check_user is not None and not has_upstream:
        yield (*path, "check_user"), "needs upstream: NAME, where it is asked"
    if issuer.cookie is not None and issuer.is_single:
        yield (*path, "cookie"), "this profile's token is the access token too: it can't be hidden"
    if issuer.cookie is not None and issuer.cookie.same_site == "none" and not issuer.cookie.secure:
        yield (*path, "cookie", "same_site"), "browsers take none only with secure: true"
    if issuer.profile != "simplejwt" and "auth_token_classes" in issuer.model_fields_set:
        yield (*path, "auth_token_classes"), "only of the profile simplejwt"
    paths: dict[str, str] = {}
    for key, endpoint in issuer.endpoints.paths().items():
        if endpoint in paths:
            yield (*path, "endpoints", key), f"the same path as {paths[endpoint]}"
        paths[endpoint] = key


def _same_endpoints(issuers: Mapping[str, IssuerConfig], parts: Parts) -> Findings:
    for one, rival in collisions(issuers, parts.upstreams):
        if one.is_named and rival.is_named and one.issuer != rival.issuer:
            yield key_path(one), f"the same path as {written(key_path(rival))}"


def _shared_secrets(issuers: Mapping[str, IssuerConfig]) -> Findings:
    """Issuers of which each takes the other's tokens for its own."""
    for (name, one), (other_name, other) in combinations(issuers.items(), 2):
        shared = {one.signing_key, *one.verifying_key} & {other.signing_key, *other.verifying_key}
        is_told = one.issuer != other.issuer or not (
            not one.audience or not other.audience or set(one.audience) & set(other.audience)
        )
        if shared - {None} and not is_told and one.token_type_claim == other.token_type_claim:
            yield (
                ("issuers", other_name),
                f"has a key of issuer {name}: each takes the other's tokens for its own; give them "
                "keys, or issuer or audience, of their own",
            )


def _deaf(issuers: Mapping[str, IssuerConfig], parts: Parts) -> Findings:
    """`revoke_on` paths whose bearer the gateway does not learn."""
    routes = list(parts.of_kind(RouteConfig).values())
    for name, issuer in issuers.items():
        for index, one in enumerate(issuer.revoke_on):
            if not any(
                route.auth != "none"
                and name in route.issuers
                and _covers_path(route.path, f"={one.path}")
                for route in routes
            ):
                where = ("issuers", name, "revoke_on", index, "path")
                yield where, f"no route asks for a token of {name} there: it ends no session"


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
        _covers_path(first.path, second.path)
        and _covers_all(first.methods, second.methods, str.__eq__)
        and _covers_all(first.hosts, second.hosts, _covers_host)
    )


def _covers_path(first: str, second: str) -> bool:
    if first.startswith("="):
        return first == second
    plain = second.removeprefix("=")
    return plain == first or plain.startswith(first if first.endswith("/") else f"{first}/")


def _covers_host(first: str, second: str) -> bool:
    return first == second or (first.startswith("*.") and second.endswith(first[1:]))


def _covers_all(
    first: Sequence[str] | None, second: Sequence[str] | None, covers: Callable[[str, str], bool]
) -> bool:
    """None stands for all."""
    if first is None:
        return True
    return second is not None and all(any(covers(one, other) for one in first) for other in second)
