"""Verified tokens by their exact text: a bounded map of two generations.

An entry is honoured only until its identity expires. When the young generation is full it becomes
the old one, so a flood of tokens costs a bounded amount of memory and no sweep.
"""

from collections.abc import Hashable

from gateway.identity import Identity


class VerifiedTokens:
    """Who each recently verified token speaks for."""

    __slots__ = ("_capacity", "_old", "_young", "hits", "misses")

    def __init__(self, *, capacity: int) -> None:
        self._capacity = max(1, capacity // 2)
        self._young: dict[Hashable, Identity] = {}
        self._old: dict[Hashable, Identity] = {}
        self.hits = 0
        self.misses = 0

    def get(self, text: Hashable, now: float) -> Identity | None:
        """The identity verified for this very text, while it is good at `now` (epoch seconds)."""
        identity = self._young.get(text)
        if identity is None:
            identity = self._old.pop(text, None)
            if identity is None:
                self.misses += 1
                return None
            self.put(text, identity)
        if now < identity.expires_at:
            self.hits += 1
            return identity
        del self._young[text]
        self.misses += 1
        return None

    def put(self, text: Hashable, identity: Identity) -> None:
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[text] = identity

    def clear(self) -> None:
        """Forgets all: what one key had verified, another might not."""
        self._young.clear()
        self._old.clear()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __repr__(self) -> str:
        return f"<VerifiedTokens {len(self)} of {2 * self._capacity}>"
