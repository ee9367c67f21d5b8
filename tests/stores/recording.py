"""A sink that remembers what it was told, and what the tests of stores have in common."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.stores.base import Policy, Presented, Revocation, SessionKey

DAY = 86_400_000  # milliseconds
MINUTE = 60_000

POLICY = Policy(grace=MINUTE, record_life=14 * DAY, access_life=5 * MINUTE)
STRICT = Policy(grace=-1, record_life=14 * DAY, access_life=5 * MINUTE)  # the grace is over at once
FIXED = Policy(grace=MINUTE, record_life=14 * DAY, access_life=5 * MINUTE, rotates=False)
SINGLE = Policy(grace=MINUTE, record_life=14 * DAY, access_life=5 * MINUTE, is_single=True)
LENIENT = Policy(grace=-1, record_life=14 * DAY, access_life=5 * MINUTE, detects_reuse=False)

KEY = SessionKey("main", "ada", "5f1d")


def token(
    generation: int = 0,
    *,
    is_managed: bool = True,
    issued_at: int | None = 9_999_999_999,
    life: int = 14 * DAY,
    ends_at: int | None = None,
) -> Presented:
    """What a token says of itself; issued after whatever has happened so far."""
    return Presented(generation, is_managed, issued_at, life, ends_at)


class RecordingSink:
    """Remembers all calls; `revocations` without those that were told twice."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[Revocation], float | None]] = []
        self.confirmations = 0

    def apply(self, revocations: Sequence[Revocation], *, lag: float | None) -> None:
        self.calls.append((list(revocations), lag))

    def confirm(self) -> None:
        self.confirmations += 1

    @property
    def revocations(self) -> list[Revocation]:
        return list(dict.fromkeys(each for batch, _ in self.calls for each in batch))


async def until(is_so: Callable[[], object], *, patience: float = 5.0) -> None:
    """Waits until a real server has brought something about; fails when it does not."""
    async with asyncio.timeout(patience):
        while not is_so():
            await asyncio.sleep(0.005)
