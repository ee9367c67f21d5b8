"""The configuration in force, for people: every key with its value, and no secret in it."""

from collections.abc import Mapping
from typing import Any

from gateway.config.changes import has_credentials, items_of, may_be_secret
from gateway.config.document import Config
from gateway.config.faults import KeyPath
from gateway.config.schema import Shape

MASK = "***"
_TOLD = ("memory://",)  # a secret by its key, and yet none


def masked(config: Config) -> dict[str, Any]:
    """Plain data, durations in seconds and sizes in bytes."""
    shape = Shape.of_file()
    return {key: _plain(shape, (key,), value) for key, value in _pairs(config).items()}


def _plain(shape: Shape, path: KeyPath, value: Any) -> Any:
    below = items_of(value)
    if isinstance(value, tuple | frozenset | list):
        if below is None:
            below = dict(enumerate(sorted(value) if isinstance(value, frozenset) else value))
        return [_plain(shape, (*path, index), item) for index, item in below.items()]
    if below is not None:
        return {str(key): _plain(shape, (*path, key), item) for key, item in below.items()}
    if value is None or isinstance(value, bool) or value in _TOLD:
        return value
    if may_be_secret(shape, path) or has_credentials(value):
        return MASK
    return value if isinstance(value, int | float) else str(value)


def _pairs(config: Config) -> Mapping[str, Any]:
    return items_of(config) or {}
