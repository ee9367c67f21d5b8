"""The sections one by one, so that a fault in one does not hide those in the others."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.config.document import Config
from gateway.config.faults import KeyPath
from gateway.config.issuer import IssuerConfig
from gateway.config.route import RouteConfig
from gateway.config.section import Section
from gateway.config.server import (
    AdminConfig,
    LoggingConfig,
    ServerConfig,
    StoreConfig,
    TracingConfig,
)
from gateway.config.upstream import UpstreamConfig

_Kind = TypeVar("_Kind")

_SINGLE: Mapping[str, type[Section]] = {
    "server": ServerConfig,
    "store": StoreConfig,
    "admin": AdminConfig,
    "logging": LoggingConfig,
    "tracing": TracingConfig,
}
_NAMED: Mapping[str, type[Section]] = {
    "issuers": IssuerConfig,
    "upstreams": UpstreamConfig,
    "routes": RouteConfig,
}


@dataclass(frozen=True, slots=True)
class Parts:
    """The valid sections by key path; `broken` keys were left out of theirs."""

    sections: Mapping[KeyPath, Section]
    issuers: tuple[str, ...]
    upstreams: tuple[str, ...]
    broken: frozenset[KeyPath] = frozenset()

    @classmethod
    def of(cls, config: Config) -> "Parts":
        sections: dict[KeyPath, Section] = {(name,): getattr(config, name) for name in _SINGLE}
        for name in _NAMED:
            sections |= {(name, key): one for key, one in _items(getattr(config, name))}
        return cls(sections, tuple(config.issuers), tuple(config.upstreams))

    @classmethod
    def salvaged(cls, tree: Mapping[str, Any], errors: Iterable[KeyPath], context: Any) -> "Parts":
        """What is valid once the keys with `errors` are left out."""
        rest = deepcopy(dict(tree))
        broken = frozenset(path[: 3 if path[0] in _NAMED else 2] for path in errors if path)
        for path in sorted(broken, key=len):
            _leave_out(rest, path)
        sections: dict[KeyPath, Section] = {}
        for name, kind in _SINGLE.items():
            _keep(sections, (name,), kind, rest.get(name), context)
        for name, kind in _NAMED.items():
            for key, one in _items(rest.get(name)):
                _keep(sections, (name, key), kind, one, context)
        names = {name: _items(tree.get(name)) for name in ("issuers", "upstreams")}
        return cls(
            sections,
            tuple(str(key) for key, _ in names["issuers"]),
            tuple(str(key) for key, _ in names["upstreams"]),
            broken,
        )

    def of_kind(self, kind: type[_Kind]) -> dict[KeyPath, _Kind]:
        return {path: one for path, one in self.sections.items() if isinstance(one, kind)}

    def is_whole(self, path: KeyPath, *keys: str) -> bool:
        """Whether these keys of a section stand as the file has them."""
        return not any((*path, key) in self.broken for key in keys)


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def _leave_out(tree: Any, path: KeyPath) -> None:
    for key in path[:-1]:
        try:
            tree = tree[key]
        except KeyError:
            return  # left out already, with all below
    if isinstance(tree, dict):
        tree.pop(path[-1], None)


def _keep(
    sections: dict[KeyPath, Section], path: KeyPath, kind: type[Section], data: Any, context: Any
) -> None:
    try:
        sections[path] = kind.model_validate(data, context=context)
    except ValidationError:
        return  # its faults are known
