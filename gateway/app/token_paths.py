"""Builds the token life cycle: the store, the view of revocations, sessions, their endpoints."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from gateway.app.sites import Sites
from gateway.config import (
    Config,
    LoginGuardConfig,
    TimeoutsConfig,
    served_endpoints,
    upstream_of,
)
from gateway.endpoints.asking import IssuersUpstream
from gateway.endpoints.borrowing import RefreshAtUpstream
from gateway.endpoints.browser import RefreshCookie
from gateway.endpoints.obtain import Obtain
from gateway.endpoints.token_endpoint import Desk, TokenEndpoint
from gateway.endpoints.tokens import Blacklist, BlacklistAll, MissingSlash, Refresh, Verify
from gateway.limits import LoginGuard
from gateway.profiles import Profiles, token_wire_of
from gateway.proxy import Endpoint
from gateway.routing import OwnPaths
from gateway.stores import MemoryStore, Store
from gateway.telemetry.metrics import Metrics
from gateway.tokens.borrowed import BorrowedSessions
from gateway.tokens.issuer import Issuer
from gateway.tokens.revocation import RevocationView
from gateway.tokens.sessions import Sessions
from gateway.tokens.tally import Tally
from gateway.tokens.terms import Terms

_ENDPOINTS: Mapping[str, type[TokenEndpoint]] = {
    "obtain": Obtain,
    "refresh": Refresh,
    "verify": Verify,
    "blacklist": Blacklist,
    "blacklist_all": BlacklistAll,
}


def open_store(config: Config) -> Store:
    """The store that the configuration names; nothing is asked of it yet."""
    settings = config.store
    if settings.url.startswith("memory:"):
        return MemoryStore(wall=time.time)
    from gateway.stores.redis import RedisStore  # loads Redis's library, which memory:// need not

    return RedisStore.from_url(
        settings.url,
        key_prefix=settings.key_prefix,
        timeout=settings.timeout,
        retention=access_life(config),
    )


def access_life(config: Config) -> int:
    """The longest life of an access token in milliseconds, as the configuration has it."""
    lives = [Terms.of(issuer).policy.access_life for issuer in config.issuers.values()]
    return max(lives, default=0)


def open_view(config: Config, *, store: Store, metrics: Metrics) -> RevocationView:
    """The view of revocations that this store keeps up to date."""
    view = RevocationView(
        max_staleness=config.store.max_staleness,
        on_outage=config.store.on_outage,
        is_local=store.is_local,
        monotonic=time.monotonic,
        wall=time.time,
        on_lag=metrics.revocation_lag.observe,
    )
    if isinstance(store, MemoryStore):
        store.tell(view)  # an ASGI server without lifespan never starts it
    return view


def open_sessions(
    config: Config,
    issuers: Mapping[str, Issuer],
    *,
    store: Store,
    view: RevocationView,
    metrics: Metrics,
) -> dict[str, Sessions]:
    """The sessions of each issuer; where it has no signing key, they are the upstream's."""
    sessions: dict[str, Sessions] = {}
    for name, issuer in issuers.items():
        kind: Callable[..., Sessions] = Sessions
        if issuer.keys.signing is None:
            upstream = upstream_of(name, issuer.config, tuple(config.upstreams))
            timeouts = config.upstreams[upstream].timeouts if upstream else TimeoutsConfig()
            kind = partial(BorrowedSessions, lease=timeouts.connect + timeouts.read + 1)
        sessions[name] = kind(issuer, store, view=view, wall=time.time, tally=_tally(name, metrics))
    return sessions


def token_paths(
    config: Config,
    *,
    sessions: Mapping[str, Sessions],
    sites: Sites,
    profiles: Profiles,
    view: RevocationView,
    store: Store,
    local: Store,
) -> OwnPaths[Endpoint]:
    """The endpoints of all issuers by their paths."""
    upstreams = tuple(config.upstreams)
    desks: dict[str, Desk] = {}
    for name, issuer in config.issuers.items():
        upstream, cookie = upstream_of(name, issuer, upstreams), issuer.cookie
        desks[name] = Desk(
            name=name,
            config=issuer,
            sessions=sessions[name],
            profile=profiles.of(name),
            wire=token_wire_of(name, issuer),
            authenticator=sites.authenticator((name,)),
            view=view,
            upstream=None
            if upstream is None
            else IssuersUpstream(
                sites.of_upstream(upstream),
                check_user=issuer.check_user,
                header=issuer.auth_header_name,
                scheme=issuer.auth_header_types[0],
            ),
            cookie=RefreshCookie(name, issuer, cookie) if cookie is not None else None,
            guard=_guard(name, issuer.login_guard, store=store, local=local),
        )

    def paths() -> Iterator[tuple[str, tuple[str, ...] | None, Endpoint]]:
        served = served_endpoints(config.issuers, upstreams)
        taken = {(one.path, one.hosts) for one in served}
        for one in served:
            desk = desks[one.issuer]
            endpoint = _ENDPOINTS[one.key](desk)
            if one.key == "refresh" and isinstance(desk.sessions, BorrowedSessions):
                endpoint = RefreshAtUpstream(desk, desk.sessions)
            yield one.path, one.hosts, endpoint
            bare = one.path.rstrip("/")
            if bare and bare != one.path and (bare, one.hosts) not in taken:
                yield bare, one.hosts, MissingSlash(one.path, endpoint)

    return OwnPaths(paths())


def _guard(
    name: str, settings: LoginGuardConfig | None, *, store: Store, local: Store
) -> LoginGuard | None:
    if settings is None:
        return None
    return LoginGuard(
        store=store,
        local=local,
        failures=settings.failures,
        window=settings.window,
        longest=settings.longest,
        issuer=name,
    )


def _tally(name: str, metrics: Metrics) -> Tally:
    def count(counter: object, word: str) -> None:
        counter.labels(name, word).inc()  # type: ignore[attr-defined]

    return Tally(
        refresh=partial(count, metrics.refreshes), revocation=partial(count, metrics.revocations)
    )
