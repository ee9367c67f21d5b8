"""What an upstream's token views answer: the tokens in it, and how it is passed on."""

import json
from collections.abc import Iterator
from typing import Any

from gateway.profiles import Answer
from gateway.upstream.call import Reply

_DEEPEST = 4  # levels in which tokens are looked for


def document_of(reply: Reply) -> Any:
    """The answer's JSON, None where it is none."""
    kind = (reply.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" or reply.header(b"content-encoding") is not None:
        return None
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def holders(value: Any, names: tuple[str, ...], *, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The objects in the answer that have tokens under these names, the outermost first."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return
    found = [value.get(name) for name in names]
    if any(isinstance(token, str) and token.count(".") == 2 for token in found):
        yield value
    for inner in value.values():
        yield from holders(inner, names, depth=depth + 1)


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, keys left out."""
    layer = [value]
    while layer:
        for item in layer:
            if isinstance(item, str):
                yield item
        inner = (item for item in layer if isinstance(item, dict | list))
        layer = [
            each for item in inner for each in (item.values() if isinstance(item, dict) else item)
        ]


def passed(reply: Reply, body: bytes | None = None) -> Answer:
    """The upstream's answer as the client gets it, with another body if there is one."""
    body = reply.body if body is None else body
    length = b"%d" % len(body)
    headers = [
        (name, length if name.lower() == b"content-length" else value)
        for name, value in reply.headers
    ]
    if reply.header(b"content-length") is None and reply.status not in (204, 304):
        headers.append((b"content-length", length))
    return Answer(reply.status, tuple(headers), body, is_own=False)
