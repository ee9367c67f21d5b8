"""The head of an answer as the client gets it, and how an answer is cut. Pure but for the cut."""

import asyncio
import http
import re
import struct
from collections.abc import Iterable
from socket import SO_LINGER, SOL_SOCKET

_PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_PHRASE = re.compile(rb"[\t\x20-\x7e\x80-\xff]+")  # RFC 9112 §4
_RESET = struct.pack("ii", 1, 0)


def head_lines(
    status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> tuple[list[bytes], bool, bool]:
    """The status line and fields; whether they tell a Content-Length, or end the connection."""
    known = _PHRASES.get(status, b"")
    if reason != known and not _PHRASE.fullmatch(reason):
        reason = known
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
    has_length = is_last = False
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
        if len(name) == 14 and name.lower() == b"content-length":
            has_length = True
        elif name == b"connection":  # of the gateway's own answers: an upstream's ended before
            is_last = value == b"close"
    return lines, has_length, is_last


def interim_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A whole interim answer (RFC 9110 §15.2)."""
    lines, _, _ = head_lines(status, b"", headers)
    return b"".join([*lines, b"\r\n"])


def whole_answer(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A whole answer with its body."""
    lines, _, _ = head_lines(status, b"", headers)
    return b"".join([*lines, b"\r\n", body])


def cut(transport: asyncio.Transport, *, ends_at_eof: bool) -> None:
    """Ends an answer so that nobody takes it for complete; `ends_at_eof` is how it is framed."""
    if ends_at_eof and (socket := transport.get_extra_info("socket")) is not None:
        socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)  # its end must not look like one
        transport.abort()
    else:
        transport.close()
