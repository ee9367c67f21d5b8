"""Reads an ordinary answer in one pass, line by line, without a parser's callbacks.

Rules
- Ordinary is a final HTTP/1.1 answer that is here as a whole, with lines that end by CRLF, a body
  of a told length, and a connection that goes on.
- All else is None here, and the full parser's to read or to refuse: this reads a part of what
  llhttp reads, and reads it alike.
"""

import re
from typing import NamedTuple

from gateway.known_lines import Field, KnownFields, KnownLines, lines_of, read_field
from gateway.upstream.headers import BODILESS, HOP_BY_HOP

_CAPACITY = 1 << 20  # bytes, for each upstream: most lines of its answers are the same ones
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) ([\t -~\x80-\xff]*)")


class OrdinaryAnswer(NamedTuple):
    """An answer; `lines` are its status line and the fields that a client may get."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    lines: list[bytes]
    body: bytes


class _Status(NamedTuple):
    status: int
    reason: bytes
    line: bytes


class OrdinaryAnswers:
    """Reads answers; remembers the lines of all connections."""

    __slots__ = ("_fields", "_statuses")

    def __init__(self) -> None:
        self._fields = KnownFields(_field, capacity=_CAPACITY)
        self._statuses: KnownLines[_Status] = KnownLines(_status, capacity=_CAPACITY)

    def read(self, data: bytes) -> OrdinaryAnswer | None:
        """The one answer that these bytes are, from the first to the last; not to HEAD."""
        split = lines_of(data)
        if split is None:
            return None
        texts, body = split
        first = texts[0]
        known = self._statuses.young.get(first) or self._statuses.learn(first)
        if known is None:
            return None
        del texts[0]
        read = self._fields.read(texts)
        if read is None:
            return None
        status, reason, line = known
        headers, lines, length = read
        if len(body) != length:
            return None
        return OrdinaryAnswer(status, reason, headers, [line, *lines], body)


def _status(text: bytes) -> _Status | None:
    matched = _STATUS_LINE.fullmatch(text)
    if matched is None or int(matched[1]) in BODILESS:
        return None
    return _Status(int(matched[1]), matched[2], text + b"\r\n")


def _field(text: bytes) -> Field | None:
    read = read_field(text)
    if read is None:
        return None
    name, value, length = read
    line = b"" if name.lower() in HOP_BY_HOP else b"%b: %b\r\n" % (name, value)  # it ends here
    return Field((name, value), line, length)
