"""The Lua scripts, and how a command is said to a server.

Each of the store's methods is one script, so each is atomic. The keys of one script share a hash
tag, so each runs on one node of a cluster.
"""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

Word = str | bytes | int
Command = tuple[Word, ...]

ASKING: Command = ("ASKING",)  # before a command that a cluster has sent on for once


class Script(NamedTuple):
    """A script: by its hash where the server knows it, else by its text."""

    text: str
    digest: str

    def by_digest(self, keys: Sequence[str], arguments: Sequence[Word]) -> Command:
        return ("EVALSHA", self.digest, len(keys), *keys, *arguments)

    def by_text(self, keys: Sequence[str], arguments: Sequence[Word]) -> Command:
        return ("EVAL", self.text, len(keys), *keys, *arguments)


def _script(*names: str) -> Script:
    texts = [files(__package__).joinpath(f"{name}.lua").read_text("utf-8") for name in names]
    text = "\n".join(texts)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


OPEN = _script("session", "open")
ROTATE = _script("session", "rotate")
UNDO = _script("session", "undo")
INSPECT = _script("session", "inspect")
END_SESSION = _script("session", "end_session")
END_USER = _script("session", "end_user")
REVOKE = _script("session", "revoke")
SESSIONS = _script("sessions")
CLAIM = _script("session", "claim")
COMPLETE = _script("session", "complete")
KEEP = _script("keep")
RELEASE = _script("release")
TAKE = _script("take")
FAIL = _script("fail")
FAILURES = _script("failures")

ALL = (
    OPEN,
    ROTATE,
    UNDO,
    INSPECT,
    END_SESSION,
    END_USER,
    REVOKE,
    SESSIONS,
    CLAIM,
    COMPLETE,
    KEEP,
    RELEASE,
    TAKE,
    FAIL,
    FAILURES,
)
