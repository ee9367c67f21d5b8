"""Values as config.yaml writes them."""

import json
import re

_PLAIN = re.compile(r"=?/[A-Za-z0-9_./~@-]*|[A-Za-z_][A-Za-z0-9_-]*")
_NOT_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def text(value: str) -> str:
    """Plain where YAML takes it so, else in quotes; a `$` of its own does not expand."""
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")


def texts(values: list[str]) -> str:
    return f"[{', '.join(map(text, values))}]"


def duration(seconds: float) -> str:
    """In the largest unit that leaves no rest: 5m, 36h, 250ms."""
    if seconds == 0:
        return "0s"
    for unit, size in _UNITS:
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"


def entry(key: str, value: str, comment: str = "", *, width: int = 42) -> str:
    """`key: value   # comment`, the comments of a block in one column."""
    written = f"{key}: {value}"
    return f"{written:<{width}}  # {comment}" if comment else written
