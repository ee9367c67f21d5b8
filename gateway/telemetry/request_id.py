"""The name under which one request is found again in every log."""

import itertools
import re

_ACCEPTED = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


class RequestIds:
    """Gives ids: a random `prefix` of this process and a running number, in hex."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._numbers = itertools.count(1)

    def new(self) -> bytes:
        return b"%b%08x" % (self._prefix, next(self._numbers))

    def accept(self, said: bytes | None) -> bytes:
        """The id that a trusted proxy gave, if it is one; else a new one."""
        if said is not None and _ACCEPTED.fullmatch(said):
            return said
        return self.new()
