"""Where a stream of WebSocket frames stands, and the frame that closes it (RFC 6455 §5.2, §5.5.1).

Frames are counted, never read: what they hold, and how it is compressed, is not the gateway's.
"""

_LARGEST_SHORT = 125
_WIDTHS = {126: 2, 127: 8}  # bytes of a longer frame's length
_MASKED = 0x80
_MASK = 4  # bytes


class FrameCount:
    """Follows one direction; `is_between` tells whether a frame may be put in here."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._left = 0  # bytes to come of the present frame
        self._head = b""  # … or what is here of the next one's head

    @property
    def is_between(self) -> bool:
        return not (self._left or self._head)

    def feed(self, data: bytes) -> None:
        """Takes the bytes that come next."""
        at = self._left
        if self._head:
            data = self._head + data
            self._head = b""
        end = len(data)
        while end - at >= 2:
            second = data[at + 1]
            length = second & ~_MASKED
            head = 2
            if length > _LARGEST_SHORT:
                head += _WIDTHS[length]
                if end - at < head:
                    break
                length = int.from_bytes(data[at + 2 : at + head], "big")
            at += head + length + (_MASK if second & _MASKED else 0)
        if at >= end:
            self._left = at - end
        else:
            self._left, self._head = 0, data[at:]


def closing_frame(code: int, *, is_masked: bool) -> bytes:
    """A Close frame; clients mask theirs, and a mask of zeros leaves the bytes as they are."""
    payload = code.to_bytes(2, "big")
    if is_masked:
        return bytes((0x88, _MASKED | len(payload))) + bytes(_MASK) + payload
    return bytes((0x88, len(payload))) + payload
