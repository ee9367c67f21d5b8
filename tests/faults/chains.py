"""A client that refreshes its own session again and again, and keeps account of the answers."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.lines import Line, Lines, Reply
from tests.faults.tokens import claims_of, first_token, refreshing, successor

PAUSE = 0.02  # seconds, after a 503


@dataclass
class Chain:
    """One session; it is refreshed through its lines in turn, and a 503 is tried again.

    A line that ends is given up for the others: the same token is tried there.
    """

    lines: list[Line]
    token: str = ""
    user: str = "1"
    successes: list[tuple[float, Line]] = field(default_factory=list)  # when, and where
    refused: list[Reply] = field(default_factory=list)  # neither 200 nor 503
    forks: int = 0  # successors that are not the next generation, or somebody else's
    unavailable: int = 0
    broken: int = 0
    _turn: int = 0

    @classmethod
    async def open(cls, lines: Lines, addresses: Sequence[str], *, user: str = "1") -> "Chain":
        return cls([await lines.to(address) for address in addresses], first_token(user), user)

    async def refresh(self) -> Reply | None:
        """One try; None where the line ended."""
        self._turn = (self._turn + 1) % len(self.lines)
        line = self.lines[self._turn]
        try:
            reply = await line.ask(refreshing(self.token))
        except ConnectionError:
            self.broken += 1
            self.lines.remove(line)
            return None
        if reply.status == 200:
            self._follow(successor(reply), line)
        elif reply.status == 503:
            self.unavailable += 1
        else:
            self.refused.append(reply)
        return reply

    async def run(self, end: asyncio.Event) -> None:
        """Refreshes as fast as it can until `end`, or until it is refused."""
        while not end.is_set() and not self.refused:
            reply = await self.refresh()
            if reply is not None and reply.status == 503:
                await asyncio.sleep(PAUSE)

    def _follow(self, token: str, line: Line) -> None:
        before, after = claims_of(self.token), claims_of(token)
        is_next = after["gen"] == before.get("gen", 0) + 1
        is_mine = (after["user_id"], after["sid"]) == (
            self.user,
            before.get("sid", before["jti"]),
        )
        self.forks += not (is_next and is_mine)
        self.successes.append((time.monotonic(), line))
        self.token = token


def longest_gap(chains: Sequence[Chain], place: int) -> float:
    """The longest time in seconds in which no client had a success through its line of this place.

    Of clients that have lost no line.
    """
    times = sorted(
        moment for chain in chains for moment, line in chain.successes if line is chain.lines[place]
    )
    return max(after - before for before, after in pairwise(times))
