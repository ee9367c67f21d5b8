"""Lines of heads that were read before: a bounded memory of two generations.

Clients and upstreams repeat most lines of their heads word for word, and what a line means never
changes; to look one up costs a tenth of reading it.
"""

import re
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

Meaning = TypeVar("Meaning")

NO_LENGTH: Final = -1

_FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)"
)
_LENGTH = re.compile(rb"[0-9]{1,9}")
_LARGEST_HEAD = 32 * 1024  # bytes; to read a larger one by lines would hold the loop
_MOST_LINES = 101
_LONGEST = 2048  # bytes of a line that is remembered
_OVERHEAD = 400  # bytes that an entry takes beside its line and what was cut out of it


class KnownLines(Generic[Meaning]):
    """What each line means by `read`, None being a line to leave to a full parser.

    Holds about `2 * capacity` bytes at most, as they lie in memory. `young` is read directly where
    it is hot; `learn` is for a line that is not in it.
    """

    __slots__ = ("_capacity", "_old", "_read", "_size", "young")

    def __init__(self, read: Callable[[bytes], Meaning | None], *, capacity: int) -> None:
        self._read = read
        self._capacity = capacity
        self._size = 0
        self.young: dict[bytes, Meaning] = {}
        self._old: dict[bytes, Meaning] = {}

    def learn(self, line: bytes) -> Meaning | None:
        """The meaning of a line that the young generation has not."""
        meaning = self._old.pop(line, None)
        if meaning is None:
            meaning = self._read(line)
        if meaning is None or len(line) > _LONGEST:
            return meaning
        self._size += 3 * len(line) + _OVERHEAD
        if self._size > self._capacity:
            self._old, self.young, self._size = self.young, {}, 0
        self.young[line] = meaning
        return meaning

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def __repr__(self) -> str:
        return f"<KnownLines {len(self)}>"


def lines_of(data: bytes) -> tuple[list[bytes], bytes] | None:
    """The lines of a head, and what stands behind it.

    None where it is not here as a whole, or is for a full parser because of its size.
    """
    end = data.find(b"\r\n\r\n", 0, _LARGEST_HEAD)
    if end < 0:
        return None
    lines = data[:end].split(b"\r\n", _MOST_LINES)
    return (lines, data[end + 4 :]) if len(lines) <= _MOST_LINES else None


class Field(NamedTuple):
    """A header field; `length` is what a Content-Length tells, NO_LENGTH for all other fields."""

    pair: tuple[bytes, bytes]
    line: bytes
    length: int


class KnownFields:
    """Reads the fields of a head; `read` is a single line's, with its CRLF left out."""

    __slots__ = ("_known",)

    def __init__(self, read: Callable[[bytes], Field | None], *, capacity: int) -> None:
        self._known: KnownLines[Field] = KnownLines(read, capacity=capacity)

    def read(self, texts: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[bytes], int] | None:
        """The pairs, the lines and the length; None where a full parser has to read them."""
        known, length = self._known, NO_LENGTH
        get = known.young.get
        pairs, lines = [], []
        for text in texts:
            field = get(text) or known.learn(text)
            if field is None:
                return None
            pair, line, told = field
            pairs.append(pair)
            lines.append(line)
            if told != NO_LENGTH:
                if length != NO_LENGTH:
                    return None
                length = told
        return pairs, lines, length


def read_field(line: bytes) -> tuple[bytes, bytes, int] | None:
    """A field's name and value, and the length where it is a Content-Length.

    None where it is not `name: value` without odd blanks, or may close the connection, switch its
    protocol or change the framing of the message.
    """
    matched = _FIELD.fullmatch(line)
    if matched is None:
        return None
    name, value = matched.groups()
    lower = name.lower()
    if lower in (b"transfer-encoding", b"trailer", b"upgrade"):
        return None
    if lower in (b"connection", b"proxy-connection") and value.lower() != b"keep-alive":
        return None
    if lower != b"content-length":
        return name, value, NO_LENGTH
    return (name, value, int(value)) if _LENGTH.fullmatch(value) else None
