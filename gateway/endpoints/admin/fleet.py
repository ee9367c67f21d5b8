"""What the admin listener asks the workers, and what they tell: data that processes can exchange.

Rule: there is one worker in this process, or several under a supervisor; who asks need not know.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol

from gateway.config import Config
from gateway.telemetry.summed import Snapshot


class Question(Enum):
    """What is asked; behind it the arguments."""

    STATE = "state"
    SESSIONS = "sessions"  # issuer, user: a Listing
    REVOKE = "revoke"  # issuer, user, session: whether it stood
    END_ALL = "end_all"  # issuer, user: True


class ServerState(NamedTuple):
    """One server of an upstream, as one worker sees it."""

    name: str
    is_up: bool
    is_ejected: bool
    fails_checks: bool
    circuit: str | None  # None without a breaker
    idle: int
    busy: int
    connecting: int


class UpstreamState(NamedTuple):
    name: str
    pending: int
    concurrency_limit: float | None
    servers: tuple[ServerState, ...]


class State(NamedTuple):
    """What one worker tells of itself."""

    upstreams: tuple[UpstreamState, ...]
    store_is_up: bool
    revocations: int  # entries that it knows
    staleness: float | None  # seconds since they were known to be complete; None before


class Unanswered(Exception):
    """No worker could do it now; `code` is the reason, the text says it for people."""

    def __init__(self, code: str, told: str) -> None:
        super().__init__(told)
        self.code = code


class Fleet(Protocol):
    """The workers, and the configuration that they have in force."""

    @property
    def config(self) -> Config: ...

    async def unready_because(self) -> str | None:
        """Why no traffic should be sent here, None when all is well."""
        ...

    async def exposition(self) -> bytes:
        """The metrics in Prometheus's text format."""
        ...

    async def snapshot(self) -> Snapshot:
        """The metrics as data."""
        ...

    async def ask_each(self, question: Question) -> Sequence[Any]:
        """What each worker says that answers in time."""
        ...

    async def ask_one(self, question: Question, *arguments: str) -> Any:
        """What one of them says: it speaks for all. Raises Unanswered."""
        ...
