"""The store on Redis or Valkey: one server, a Sentinel set, or a cluster."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from itertools import count
from math import floor
from secrets import randbits

from gateway.errors import StoreUnavailable
from gateway.stores.address import read_address
from gateway.stores.base import Kind, Revocation, RevocationSink
from gateway.stores.breaker import Breaker
from gateway.stores.caller import AnswerLost, Caller
from gateway.stores.counters import FIRST_BAR
from gateway.stores.deeds import Deed, Deeds, always, is_reused
from gateway.stores.outbox import Outbox
from gateway.stores.redis_claims import RedisClaims
from gateway.stores.scripts import (
    END_SESSION,
    FAIL,
    FAILURES,
    INSPECT,
    OPEN,
    ROTATE,
    TAKE,
    UNDO,
)
from gateway.stores.session import (
    MOST_LISTED,
    UNTOLD,
    KnownSession,
    Listing,
    Opened,
    Policy,
    Presented,
    Rotation,
    SessionKey,
    Verdict,
    listing,
)
from gateway.stores.tail import Tail
from gateway.stores.topology import Finder, finder_of
from gateway.stores.undoing import Undoing

PAGE = 500  # keys that a server goes through at once, which holds it for a part of a millisecond

_LOG = logging.getLogger("gateway.stores")


class RedisStore(RedisClaims):
    """A `Store` that all workers share. Build it by `from_url`."""

    is_local = False

    def __init__(
        self,
        finder: Finder,
        *,
        name: str,
        key_prefix: str,
        timeout: float,
        retention: int,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._finder = finder
        self._name = name
        self._deeds = Deeds(key_prefix, buckets=finder.buckets, retention=retention)
        self._timeout = timeout
        self._retention = retention
        self._wall = wall
        self._breaker = Breaker(finder, timeout=timeout)
        self._caller = Caller(self._breaker, finder, timeout=timeout)
        self._outbox = Outbox(self._caller, self._breaker, monotonic=monotonic)
        self._undoing = Undoing(self._caller, self._breaker)
        self._marks = count(randbits(31))
        self._sink: RevocationSink | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        key_prefix: str = "gw",
        timeout: float = 0.25,
        retention: int,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> "RedisStore":
        """The store at a URL (see `address`); `retention` is the longest access life, in ms.

        Raises ValueError for a URL that can't be read.
        """
        address = read_address(url)
        return cls(
            finder_of(address, key_prefix=key_prefix, timeout=timeout),
            name=str(address),
            key_prefix=key_prefix,
            timeout=timeout,
            retention=retention,
            wall=wall,
            monotonic=monotonic,
        )

    def __repr__(self) -> str:
        return f"<RedisStore {self._name} up={self.is_up} waiting={len(self._outbox)}>"

    @property
    def is_up(self) -> bool:
        return self._breaker.topology is not None

    async def start(self, sink: RevocationSink) -> None:
        self._sink = sink
        tail = Tail(
            self._deeds.logs(),
            self._breaker,
            self._finder,
            sink=sink,
            timeout=self._timeout,
            wall=self._wall,
            on_read=self._outbox.forget_old,
            on_other_server=self._outbox.repeat,
        )
        for work in (self._breaker.run(), self._outbox.run(), self._undoing.run(), tail.run()):
            task = asyncio.create_task(work)
            task.add_done_callback(_log_end)
            self._tasks.append(task)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._caller.stop()
        self._tasks.clear()
        if self._outbox:
            _LOG.error("%d revocations could not be written", len(self._outbox))

    async def open_session(
        self,
        key: SessionKey,
        policy: Policy,
        *,
        presented: Presented,
        access_life: int,
        access: tuple[str, int] | None = None,
    ) -> Opened:
        words = (access_life, *(access or ("", 0)), self._now())
        return Opened(*await self._caller.run(self._deeds.of(OPEN, key, presented, policy, *words)))

    async def rotate(self, key: SessionKey, presented: Presented, policy: Policy) -> Rotation:
        mark = next(self._marks) % 2**31
        deed = self._deeds.of(ROTATE, key, presented, policy, self._now(), mark)
        deed = deed._replace(must_last=is_reused)
        try:
            word, generation, at, ends_at = await self._called(deed, in_time=True)
        except AnswerLost as error:
            undo = self._deeds.of(UNDO, key, presented, policy, mark, error.deadline)
            self._undoing.put(deed.keys[3], undo)
            raise
        verdict = Verdict(word.decode())
        if verdict is Verdict.REUSED:
            self._outbox.remember(self._deeds.end_again(key, presented, policy))
        return Rotation(verdict, generation, at, None if ends_at < 0 else ends_at)

    async def inspect(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        answer = await self._called(self._deeds.of(INSPECT, key, presented, policy))
        return Verdict(answer.decode())

    async def end_session(self, key: SessionKey, presented: Presented, policy: Policy) -> Verdict:
        deed = self._deeds.of(END_SESSION, key, presented, policy, "")
        verdict = Verdict((await self._called(deed._replace(must_last=always))).decode())
        if verdict is not Verdict.REVOKED:
            self._outbox.remember(self._deeds.end_again(key, presented, policy))
        return verdict

    async def revoke_session(self, key: SessionKey, policy: Policy) -> bool:
        has_stood = bool(await self._caller.run(self._deeds.revoke(key, policy)))
        if has_stood:
            self._outbox.remember(self._deeds.end_again(key, UNTOLD, policy))
        return has_stood

    async def sessions(self, issuer: str, user: str, *, patience: float) -> Listing:
        found: dict[bytes, KnownSession] = {}  # a page may tell again of what another has told
        clock = asyncio.get_running_loop().time
        end, cursor = clock() + patience, b"0"
        while True:
            page = self._deeds.page_of_sessions(issuer, user, cursor, PAGE)
            cursor, *told = await self._caller.run(page)
            for id_, began, generation, issued, left in told:
                found[id_] = KnownSession(
                    id_.decode(),
                    float(began),
                    issued / 1000 if generation else None,
                    self._wall() + left / 1000,
                )
            if cursor == b"0" or len(found) >= MOST_LISTED or clock() >= end:
                return listing(found.values(), is_complete=cursor == b"0")

    async def end_user(self, issuer: str, user: str, policy: Policy) -> None:
        await self._end_user(issuer, user, policy)

    async def end_user_eventually(self, issuer: str, user: str, policy: Policy) -> None:
        since = floor(self._breaker.clock())  # if the call is lost, what comes later is not meant
        try:
            since = await self._end_user(issuer, user, policy)
        except StoreUnavailable:
            self._outbox.put(self._deeds.end_user(issuer, user, policy, since=since))
        until = self._wall() + max(policy.access_life, self._retention) / 1000
        if self._sink is not None:
            one = Revocation(Kind.USER, issuer, user, until, float(since))
            self._sink.apply([one], lag=0.0)

    async def _end_user(self, issuer: str, user: str, policy: Policy) -> int:
        since: int = await self._caller.run(self._deeds.end_user(issuer, user, policy, since=None))
        self._outbox.remember(self._deeds.end_user(issuer, user, policy, since=since))
        return since

    async def take(self, bucket: str, *, rate: float, burst: int) -> float:
        words = (math.ceil(1e6 / rate), burst)
        wait: int = await self._caller.run(Deed(TAKE, (self._deeds.bucket_key(bucket),), words))
        return wait / 1e6

    async def failures(self, name: str) -> tuple[int, float]:
        count, barred = await self._caller.run(
            Deed(FAILURES, (self._deeds.failures_key(name),), ())
        )
        return count, barred / 1000

    async def fail(self, name: str, *, limit: int, window: float, longest: float) -> float:
        words = (limit, *(math.ceil(seconds * 1000) for seconds in (window, FIRST_BAR, longest)))
        bar: int = await self._caller.run(Deed(FAIL, (self._deeds.failures_key(name),), words))
        return bar / 1000

    async def forgive(self, name: str) -> None:
        await self._caller.delete(self._deeds.failures_key(name))

    def _now(self) -> int:
        return floor(self._wall() * 1000)


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.critical("a task of the store has ended", exc_info=error)
