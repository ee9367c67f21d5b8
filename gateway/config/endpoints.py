"""Which token paths are answered for which issuer.

Every issuer has default paths, so two may want the same: a path that the file names wins over a
default, and of two defaults the first issuer's. A default that can't work is not served.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.config.faults import KeyPath
from gateway.config.issuer import IssuerConfig
from gateway.config.route import covers_host


@dataclass(frozen=True, slots=True)
class Served:
    """One token path: `key` names it in `endpoints`, such as refresh."""

    issuer: str
    key: str
    path: str
    hosts: tuple[str, ...] | None
    is_named: bool  # the file says so; else it is a default


def upstream_of(name: str, issuer: IssuerConfig, upstreams: Sequence[str]) -> str | None:
    """The upstream that knows this issuer's users: named, of the same name, or the only one."""
    if issuer.upstream is not None:
        return issuer.upstream
    if name in upstreams:
        return name
    return upstreams[0] if len(upstreams) == 1 else None


def served_endpoints(
    issuers: Mapping[str, IssuerConfig], upstreams: Sequence[str]
) -> tuple[Served, ...]:
    """The paths that are answered, each (host, path) by one issuer."""
    wanted = [one for name, issuer in issuers.items() for one in _wanted(name, issuer, upstreams)]
    return tuple(one for one in wanted if _rival(one, wanted) is None)


def collisions(
    issuers: Mapping[str, IssuerConfig], upstreams: Sequence[str]
) -> Iterator[tuple[Served, Served]]:
    """Paths that are not answered, each with the one that takes its place."""
    wanted = [one for name, issuer in issuers.items() for one in _wanted(name, issuer, upstreams)]
    for one in wanted:
        rival = _rival(one, wanted)
        if rival is not None:
            yield one, rival


def key_path(served: Served) -> KeyPath:
    """Where the file says, or would say, this path."""
    return ("issuers", served.issuer, "endpoints", served.key)


def _wanted(name: str, issuer: IssuerConfig, upstreams: Sequence[str]) -> Iterator[Served]:
    endpoints = issuer.endpoints
    named = endpoints.model_fields_set if "endpoints" in issuer.model_fields_set else set()
    upstream = upstream_of(name, issuer, upstreams)
    for key, path in endpoints.paths().items():
        needs_upstream = key == "obtain" or (key == "refresh" and issuer.signing_key is None)
        if key in named or upstream is not None or not needs_upstream:
            yield Served(name, key, path, endpoints.hosts, key in named)


def _rival(one: Served, wanted: Sequence[Served]) -> Served | None:
    """Who has this path in its stead."""
    for index, other in enumerate(wanted):
        if other is one or other.path != one.path or not _share_a_host(other, one):
            continue
        if other.is_named != one.is_named:
            if other.is_named:
                return other
        elif index < wanted.index(one):
            return other
    return None


def _share_a_host(one: Served, other: Served) -> bool:
    if one.hosts is None or other.hosts is None:
        return True
    return any(covers_host(a, b) or covers_host(b, a) for a in one.hosts for b in other.hosts)
