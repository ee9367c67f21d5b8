"""What of the token life cycle one key can't know alone: as in `checks`, for issuers."""

from collections.abc import Iterator, Mapping

from gateway.config.endpoints import collisions, key_path, upstream_of
from gateway.config.faults import KeyPath, written
from gateway.config.issuer import IssuerConfig
from gateway.config.parts import Parts
from gateway.config.route import RouteConfig, covers_path

Findings = Iterator[tuple[KeyPath, str]]


def life_cycle_doubts(parts: Parts) -> Findings:
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
    for path, issuer in parts.of_kind(IssuerConfig).items():
        yield from _odd_lives(path, issuer)


def life_cycle(path: KeyPath, issuer: IssuerConfig, parts: Parts) -> Findings:
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
    if issuer.cookie is not None and issuer.cookie.name.startswith(("__Host-", "__Secure-")):
        is_host = issuer.cookie.name.startswith("__Host-")
        if not issuer.cookie.secure or (is_host and issuer.cookie.path != "/"):
            needed = "secure: true and path: /" if is_host else "secure: true"
            yield (
                (*path, "cookie", "name"),
                f"browsers take a cookie of this name only with {needed}",
            )
    if issuer.profile != "simplejwt" and "auth_token_classes" in issuer.model_fields_set:
        yield (*path, "auth_token_classes"), "only of the profile simplejwt"
    paths: dict[str, str] = {}
    for key, endpoint in issuer.endpoints.paths().items():
        if endpoint in paths:
            yield (*path, "endpoints", key), f"the same path as {paths[endpoint]}"
        paths[endpoint] = key


def same_endpoints(issuers: Mapping[str, IssuerConfig], parts: Parts) -> Findings:
    for one, rival in collisions(issuers, parts.upstreams):
        if one.is_named and rival.is_named and one.issuer != rival.issuer:
            other = written(key_path(rival))
            yield (
                key_path(one),
                f"the same path as {other}; give both endpoints.hosts, or other paths",
            )


def _odd_lives(path: KeyPath, issuer: IssuerConfig) -> Findings:
    if issuer.refresh_token_lifetime < issuer.access_token_lifetime:
        yield (*path, "refresh_token_lifetime"), "shorter than access_token_lifetime"
    if issuer.refresh_grace > issuer.access_token_lifetime:
        yield (
            (*path, "refresh_grace"),
            "longer than access_token_lifetime: a stolen token stays good for that long",
        )


def _shared_secrets(issuers: Mapping[str, IssuerConfig]) -> Findings:
    """Issuers of which each takes the other's tokens for its own."""
    items = list(issuers.items())
    for index, (name, one) in enumerate(items):
        twin = next((other for other, its in items[:index] if _are_alike(its, one)), None)
        if twin is not None:
            yield (
                ("issuers", name),
                f"has a key of issuer {twin}: each takes the other's tokens for its own, and a "
                "logout at one is none at the other; give them keys, issuer or audience of their "
                "own",
            )


def _are_alike(one: IssuerConfig, other: IssuerConfig) -> bool:
    """Whether a token of one is one of the other too, as far as their settings tell."""
    shared = {one.signing_key, *one.verifying_key} & {other.signing_key, *other.verifying_key}
    if not shared - {None} or one.issuer != other.issuer or one.profile != other.profile:
        return False
    return not one.audience or not other.audience or bool(set(one.audience) & set(other.audience))


def _deaf(issuers: Mapping[str, IssuerConfig], parts: Parts) -> Findings:
    """`revoke_on` paths whose bearer the gateway does not learn."""
    routes = list(parts.of_kind(RouteConfig).values())
    for name, issuer in issuers.items():
        for index, one in enumerate(issuer.revoke_on):
            if not any(
                route.auth != "none"
                and name in route.issuers
                and covers_path(route.path, f"={one.path}")
                for route in routes
            ):
                where = ("issuers", name, "revoke_on", index, "path")
                yield where, f"no route asks for a token of {name} there: it ends no session"
