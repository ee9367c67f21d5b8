"""What is revoked of one issuer, and when each entry of it may be forgotten."""

import math
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from gateway.identity import Identity
from gateway.stores.base import Kind, Revocation

CHUNK = 1024  # ids
BUCKET = 5.0  # seconds
MOST_STEPS = 24  # of one session: they part its grace into pieces of less than a tenth


class _NotBefore(NamedTuple):
    until: float
    since: float


class _Steps(NamedTuple):
    """From each `since` on, its generation is the oldest that is good; both ascend."""

    until: float
    steps: tuple[tuple[float, int], ...]


class Revoked:
    """What is revoked of one issuer."""

    __slots__ = ("_dues", "_generations", "_sessions", "_users")

    def __init__(self) -> None:
        self._sessions: dict[str | None, float] = {}
        self._users: dict[str, _NotBefore] = {}
        self._generations: dict[str | None, _Steps] = {}
        self._dues = _Dues()

    def has_revoked(self, identity: Identity, wall: Callable[[], float]) -> bool:
        # The clock is asked only where something was found.
        until = self._sessions.get(identity.session_id)
        if until is not None and wall() < until:
            return True
        user = self._users.get(identity.user_id)
        if (
            user is not None
            and (identity.issued_at is None or identity.issued_at <= user.since)
            and wall() < user.until
        ):
            return True
        if identity.generation is None:
            return False
        found = self._generations.get(identity.session_id)
        if found is None:
            return False
        now, generation = wall(), identity.generation
        return now < found.until and any(
            generation < least and now >= since for since, least in found.steps
        )

    def add(self, revocation: Revocation, now: float) -> None:
        kind, _, id_, until, since, generation = revocation
        filed: float
        if kind is Kind.SESSION:
            filed = self._sessions.get(id_, 0.0)
            if until > filed:
                self._sessions[id_] = until
        elif kind is Kind.USER:
            user = self._users.get(id_, _NotBefore(0.0, 0.0))
            filed = user.until
            self._users[id_] = _NotBefore(max(filed, until), max(user.since, since))
        else:
            found = self._generations.get(id_, _Steps(0.0, ()))
            filed = found.until
            steps = found.steps
            if kind is Kind.UNDONE:
                steps = tuple(step for step in steps if step[1] <= generation)
            steps = _ascending((*steps, (since, generation)), now)
            self._generations[id_] = _Steps(max(filed, until), steps)
        if until > filed:
            self._dues.file(id_, until, filed)

    def drop(self, now: float) -> int:
        """Drops what is over of one chunk of ids; how many there were."""
        due = self._dues.take(now)
        sessions, users, generations = self._sessions, self._users, self._generations
        for id_ in due:
            # Filed at an earlier time, it may stay until a later one; it is filed there too.
            if sessions.get(id_, math.inf) <= now:
                del sessions[id_]
            if id_ in users and users[id_].until <= now:
                del users[id_]
            if id_ in generations and generations[id_].until <= now:
                del generations[id_]
        if due and not len(self):
            # A dict keeps its room for what was deleted.
            sessions.clear()
            users.clear()
            generations.clear()
        return len(due)

    def __len__(self) -> int:
        return len(self._sessions) + len(self._users) + len(self._generations)


class _Dues:
    """Which ids to look at when, in buckets of some seconds."""

    __slots__ = ("_buckets", "_order")

    def __init__(self) -> None:
        # A bucket is its full chunks, and behind them the one that is being filled. Full ones are
        # tuples: the garbage collector does not go through tuples of strings, but through lists.
        self._buckets: dict[int, tuple[list[tuple[str, ...]], list[str]]] = {}
        self._order: list[int] = []  # a heap of the buckets' numbers

    def file(self, id_: str, until: float, before: float) -> None:
        """Files the id that was filed for `before`, 0 for not."""
        if until == math.inf or until // BUCKET == before // BUCKET:
            return
        number = int(until // BUCKET) + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = ([], [])
            heappush(self._order, number)
        full, filling = bucket
        if len(filling) == CHUNK:
            full.append(tuple(filling))
            filling.clear()
        filling.append(id_)

    def take(self, now: float) -> Sequence[str]:
        """A chunk of the oldest bucket that is over, empty where none is."""
        if not self._order or self._order[0] * BUCKET > now:
            return ()
        full, filling = self._buckets[self._order[0]]
        if full:
            return full.pop()
        del self._buckets[heappop(self._order)]
        return filling


def _ascending(steps: Iterable[tuple[float, int]], now: float) -> tuple[tuple[float, int], ...]:
    """Without the steps that another makes needless, and never more than MOST_STEPS.

    A newer generation's step that is still to come does not lift an older one's.
    """
    kept: list[tuple[float, int]] = []
    for since, generation in sorted(steps, key=lambda step: (step[0], -step[1])):
        if not kept or generation > kept[-1][1]:
            if since <= now:
                kept.clear()
            kept.append((since, generation))
    if len(kept) > MOST_STEPS:
        # The one that is missed least leaves its tokens to the next step. Their wait is within the
        # gap that this makes, so however often it happens, it does not add up.
        gaps = [after[0] - before[0] for before, after in zip(kept, kept[2:], strict=False)]
        del kept[1 + gaps.index(min(gaps))]
    return tuple(kept)
