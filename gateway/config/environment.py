"""`GATEWAY_…` variables that override the file: `GATEWAY_SERVER__PORT=9000`.

Two underscores part the levels; letter case and `-` against `_` don't matter. Only what the file
format knows, and names that the file has, can be overridden. Reserved, and never an override:
`GATEWAY_CONFIG` (the file's path), `GATEWAY_CONTROL_SOCKET` (where `gateway reload` asks),
`GATEWAY_REQUIRE_ALL` (tests: fail instead of skip), `GATEWAY_VERSION` (image builds), and what
container platforms set for a service called `gateway` (`GATEWAY_SERVICE_HOST`,
`GATEWAY_PORT=tcp://…`, …).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.config.faults import Fault, KeyPath, written
from gateway.config.schema import Shape
from gateway.config.source import Source

PREFIX = "GATEWAY_"
RESERVED = frozenset(
    {"GATEWAY_CONFIG", "GATEWAY_CONTROL_SOCKET", "GATEWAY_REQUIRE_ALL", "GATEWAY_VERSION"}
)

_SERVICE_LINK = re.compile(
    r"GATEWAY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


def override(
    tree: dict[str, Any],
    source: Source,
    *,
    environ: Mapping[str, str],
    options: Mapping[str, object],
) -> tuple[Source, list[Fault]]:
    """Set what variables, then command line options say into `tree`; faults where they can't."""
    places: dict[KeyPath, str] = {}
    faults: list[Fault] = []
    variables = sorted(name for name, text in environ.items() if _is_override(name, text))
    shape = Shape.of_file() if variables else Shape({}, {})
    for variable in variables:
        path, problem = _resolve(variable.removeprefix(PREFIX), tree, shape)
        if not problem:
            problem = _clash(path, tree, shape, source, places)
        if problem:
            faults.append(Fault(variable, written(path), problem))
            continue
        _set(tree, path, _parsed(environ[variable], shape.at(path)))
        places[path] = variable
    for name, value in options.items():
        path = tuple(name.split("."))
        _set(tree, path, value)
        places[path] = "command line"
    return Source(source.file, source.lines, places), faults


def _is_override(variable: str, text: str) -> bool:
    if not variable.startswith(PREFIX) or variable in RESERVED:
        return False
    is_link = _SERVICE_LINK.fullmatch(variable) or (
        variable.endswith("_PORT") and _LINK_VALUE.match(text)
    )
    return not is_link


def _resolve(rest: str, tree: Any, shape: Shape) -> tuple[KeyPath, str]:
    """The key path that a variable's name means, and what is wrong with it."""
    path: KeyPath = ()
    below: Shape | None = shape
    value = tree
    for part in rest.split("__"):
        known = dict(_known(value, below))
        key = known.get(_folded(part))
        if key is None:
            names = ", ".join(sorted(str(name) for name in known.values()))
            hint = f"; known: {names}" if names else ""
            where = f"in {written(path)}" if path else "here (levels are parted by __)"
            return (), f"no such key {where}{hint}"
        path = (*path, key)
        below = below.child(key) if below is not None else None
        value = _item(value, key)
    return path, ""


def _known(value: Any, shape: Shape | None) -> Iterator[tuple[str, str | int]]:
    for name in shape.keys if shape is not None else ():
        yield _folded(name), name
    if isinstance(value, dict):
        for name in value:
            yield _folded(name), name
    elif isinstance(value, list):
        for index in range(len(value)):
            yield str(index), index


def _folded(name: str) -> str:
    return name.upper().replace("-", "_")


def _item(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(key))
    return value[key] if isinstance(value, list) and isinstance(key, int) else None


def _clash(
    path: KeyPath, tree: Any, shape: Shape, source: Source, places: Mapping[KeyPath, str]
) -> str:
    """Why this override is one too many: a secret given before, or two spellings of one key."""
    if path in places:
        return f"given twice: also by {places[path]}"
    value = tree
    for depth, key in enumerate(path, 1):
        value = _item(value, key)
        at = shape.at(path[:depth])
        if at is not None and at.is_secret and value is not None:
            line = source.lines.get(path[:depth])
            also = f"on line {line} of the file" if line else "by another variable"
            return f"a secret given twice: also {also}"
        if depth < len(path) and value is not None and not isinstance(value, dict | list):
            return "the file has no mapping here"
    return ""


def _parsed(text: str, shape: Shape | None) -> Any:
    """Lists may be written with commas."""
    if shape is not None and shape.is_list and not shape.takes_text:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _set(tree: Any, path: KeyPath, value: object) -> None:
    """Set the value; a section on the way that the file leaves out is made."""
    for key in path[:-1]:
        if isinstance(tree, dict) and tree.get(str(key)) is None:
            tree[str(key)] = {}
        tree = tree[key]
    if isinstance(tree, dict | list):
        tree[path[-1]] = value  # type: ignore[index]
