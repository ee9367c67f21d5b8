"""A dictionary whose entries end: each has a time, after which it is not there any more.

Rules
- A write costs the same however many entries there are: it looks at a few others, in turn, and
  drops those that are over. While there are writes, more is alive than has ended.
- Entries are spread over many dictionaries: one that grows is moved as a whole, and with a million
  entries that would hold the loop for 30 ms.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

PORTION = 256  # entries that are looked at in one go
LOOKS = 4  # entries that a write looks at: all of them in as many writes as a quarter of them
_PARTS = 61  # a prime: a dictionary places its keys by the lowest bits of the same hashes


class Expiring(Generic[K, V]):
    """Ended entries are left out when asked for, and swept away by the writes that follow."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._parts: tuple[dict[K, tuple[float, V]], ...] = tuple({} for _ in range(_PARTS))
        self._turns: deque[K] = deque()  # each key once

    def __len__(self) -> int:
        return len(self._turns)

    def get(self, key: K) -> V | None:
        entry = self._part(key).get(key)
        return None if entry is None or entry[0] <= self._now() else entry[1]

    def ends(self, key: K) -> float:
        """When the entry ends; 0 for none."""
        entry = self._part(key).get(key)
        return 0 if entry is None or entry[0] <= self._now() else entry[0]

    def put(self, key: K, value: V, *, until: float) -> None:
        part = self._part(key)
        if key not in part:
            self._turns.append(key)
        part[key] = (until, value)
        self._sweep()

    def portions(self) -> Iterator[list[tuple[K, V]]]:
        """All that are there all the while, and maybe others; some at a time.

        Between two portions others may have their turn.
        """
        for part in self._parts:
            keys = list(part)
            for start in range(0, len(keys), PORTION):
                now = self._now()
                some = ((key, part.get(key)) for key in keys[start : start + PORTION])
                yield [(key, entry[1]) for key, entry in some if entry and entry[0] > now]

    def pop(self, key: K) -> None:
        part = self._part(key)
        if key in part:
            part[key] = (0, part[key][1])  # it leaves when its turn comes

    def _part(self, key: K) -> dict[K, tuple[float, V]]:
        return self._parts[hash(key) % _PARTS]

    def _sweep(self) -> None:
        now, turns = self._now(), self._turns
        for _ in range(min(LOOKS, len(turns))):
            key = turns.popleft()
            part = self._part(key)
            if part[key][0] > now:
                turns.append(key)
            else:
                del part[key]
