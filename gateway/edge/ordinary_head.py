"""Reads the head of an ordinary request in one pass, line by line, without a parser's callbacks.

Rules
- Ordinary is what no two parsers read differently: one whole HTTP/1.1 message with lines that end
  by CRLF, `name: value` without odd blanks, no body or one of a told length.
- All else is None here, and the full parser's to read or to refuse: this reads a part of what
  llhttp reads, and reads it alike.
"""

import re
from typing import NamedTuple

from gateway.known_lines import NO_LENGTH, Field, KnownFields, lines_of, read_field
from gateway.request import field_of

_REQUEST_LINE = re.compile(rb'(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!"$-~]*) HTTP/1\.1')
_CAPACITY = 12 << 20  # bytes: the lines of some 10,000 clients with a token each
_FULL_PARSERS = (b"te", b"expect")  # they ask for more than an answer


class OrdinaryHead(NamedTuple):
    """A request as `RequestHead` has it, and its whole body."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    lines: list[bytes]
    body: bytes


class OrdinaryHeads:
    """Reads heads; remembers the lines of all connections."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields = KnownFields(_field, capacity=_CAPACITY)

    def read(self, data: bytes) -> OrdinaryHead | None:
        """The one request that these bytes are, from the first to the last."""
        split = lines_of(data)
        if split is None:
            return None
        lines, body = split
        matched = _REQUEST_LINE.fullmatch(lines[0])
        if matched is None:
            return None
        del lines[0]
        read = self._fields.read(lines)
        if read is None:
            return None
        headers, kept, length = read
        if len(body) != (length if length != NO_LENGTH else 0):
            return None
        method, target = matched.groups()
        return OrdinaryHead(method.decode(), target, headers, kept, body)


def _field(text: bytes) -> Field | None:
    read = read_field(text)
    if read is None:
        return None
    name, value, length = read
    pair, line = field_of(name, value)
    return None if pair[0] in _FULL_PARSERS else Field(pair, line, length)
