"""A dictionary whose entries end: each has a time, after which it is not there any more."""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_SWEEP_EVERY = 1024  # writes


class Expiring(Generic[K, V]):
    """Ended entries are left out when asked for, and swept away once in a while."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._entries: dict[K, tuple[float, V]] = {}
        self._writes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        return None if entry is None or entry[0] <= self._now() else entry[1]

    def ends(self, key: K) -> float:
        """When the entry ends; 0 for none."""
        entry = self._entries.get(key)
        return 0 if entry is None or entry[0] <= self._now() else entry[0]

    def put(self, key: K, value: V, *, until: float) -> None:
        self._entries[key] = (until, value)
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            now = self._now()
            self._entries = {key: entry for key, entry in self._entries.items() if entry[0] > now}

    def pop(self, key: K) -> None:
        self._entries.pop(key, None)
