"""What differs between two configurations, for people: one line a key, and no secret in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.config.document import Config
from gateway.config.faults import KeyPath, written
from gateway.config.schema import Shape
from gateway.config.section import Section

# What sockets and processes were made from when the gateway started.
FIXED: tuple[KeyPath, ...] = (
    ("server", "host"),
    ("server", "port"),
    ("server", "socket_mode"),
    ("server", "workers"),
    ("admin", "host"),
    ("admin", "port"),
)


def changes(old: Config, new: Config) -> list[str]:
    """`server.keep_alive: 75 -> 5` for each key, `issuers.staff: added` for whole sections."""
    shape = Shape.of_file()
    return [
        f"{written(path)}: {_told(shape, path, before, after)}"
        for path, before, after in _differences((), old, new)
    ]


def fixed_changes(old: Config, new: Config) -> list[KeyPath]:
    """The keys that changed and can't at run time."""
    return [path for path in FIXED if _at(old, path) != _at(new, path)]


def _differences(path: KeyPath, old: Any, new: Any) -> Iterator[tuple[KeyPath, Any, Any]]:
    if old == new:
        return
    before, after = items_of(old), items_of(new)
    if old == () and after is not None:
        before = {}
    if new == () and before is not None:
        after = {}
    if before is None or after is None:
        yield path, old, new
        return
    for key in (*before, *(key for key in after if key not in before)):
        below = (*path, key)
        if key in before and key in after:
            yield from _differences(below, before[key], after[key])
        else:
            yield below, before.get(key), after.get(key)


def items_of(value: Any) -> Mapping[Any, Any] | None:
    """What is below: the keys of a section or a mapping, the places in a list of sections."""
    if isinstance(value, Section):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and any(isinstance(item, Section) for item in value):
        return dict(enumerate(value))
    return None


def _told(shape: Shape, path: KeyPath, before: Any, after: Any) -> str:
    if before is None and items_of(after) is not None:
        return "added"
    if after is None and items_of(before) is not None:
        return "removed"
    if may_be_secret(shape, path) or any(has_credentials(value) for value in (before, after)):
        return "changed"
    return f"{_shown(before)} -> {_shown(after)}"


def may_be_secret(shape: Shape, path: KeyPath) -> bool:
    place = shape.at(path)
    # What may stand in a file of its own is confidential; a header may hold what only two know.
    return place is None or place.is_secret or "file" in place.keys or "identity_headers" in path


def has_credentials(value: Any) -> bool:
    return isinstance(value, str) and "://" in value and ("@" in value or "?" in value)


def _shown(value: Any) -> str:
    if isinstance(value, tuple | frozenset):
        return f"[{', '.join(map(_shown, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))


def _at(config: Config, path: KeyPath) -> Any:
    value: Any = config
    for key in path:
        value = getattr(value, str(key))
    return value
