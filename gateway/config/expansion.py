"""`${VAR}` and `${VAR:-default}` in values; `$$` is one `$`.

Expansion happens behind the YAML parser, so no variable can add structure. Messages name
variables, never what they hold.
"""

import re
from collections.abc import Mapping
from typing import Any

from gateway.config.faults import KeyPath

_EXPANSION = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-)([^{}]*))?\}|(\{))")


# The value, and what is wrong in it by key path.
Expanded = tuple[Any, dict[KeyPath, str]]


def expand(value: Any, environ: Mapping[str, str], path: KeyPath = ()) -> Expanded:
    """The value with all text in it expanded, and the faults by key path."""
    if isinstance(value, str):
        return _text(value, environ, path)
    if isinstance(value, dict):
        parts = {key: expand(item, environ, (*path, key)) for key, item in value.items()}
        return {key: part[0] for key, part in parts.items()}, _joined(parts.values())
    if isinstance(value, list):
        items = [expand(item, environ, (*path, index)) for index, item in enumerate(value)]
        return [item[0] for item in items], _joined(items)
    return value, {}


def _joined(parts: Any) -> dict[KeyPath, str]:
    return {path: message for _, faults in parts for path, message in faults.items()}


def _text(value: str, environ: Mapping[str, str], path: KeyPath) -> Expanded:
    faults: dict[KeyPath, str] = {}

    def replace(found: re.Match[str]) -> str:
        dollar, name, has_default, default, broken = found.groups()
        if dollar:
            return "$"
        if broken:
            faults.setdefault(path, "write ${NAME} or ${NAME:-default}, and $$ for a $ of its own")
            return ""
        known = environ.get(name)
        if known or (known is not None and not has_default):
            return known
        if has_default:
            return str(default)
        faults.setdefault(path, f"the environment variable {name} is not set")
        return ""

    return _EXPANSION.sub(replace, value), faults
