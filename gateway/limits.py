"""Rate limits: how often a route may be asked, and how often a login may fail.

Rules
- What a limit is kept under is a hash: no user name, address or route is written to the store.
- While the store is away, this process counts alone: a limit grows at most by that much.
- A login that is barred is never sent on; guesses in flight count as if they were to fail.
"""

import asyncio
import hashlib
import ipaddress
import math
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.errors import RateLimited, StoreUnavailable
from gateway.identity import Identity
from gateway.stores.base import Store

PATIENCE = 10.0  # seconds that a login waits for others of its user or address to end


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one user or address may use a route; `rate` a second, `burst` at once."""

    route: str
    rate: float
    burst: int
    per_user: bool
    issuer: str  # whose wording a refusal has

    def who(self, bearer: Identity | None, client: str) -> str:
        """Who is counted: the bearer, or where there is none the client's address."""
        if self.per_user and bearer is not None:
            return f"{bearer.issuer} {bearer.user_id}"
        return network_of(client)


class Limiter:
    """Buckets of requests. `local` is a store of this process alone, for outages."""

    __slots__ = ("_local", "_store")

    def __init__(self, *, store: Store, local: Store) -> None:
        self._store = store
        self._local = local

    async def admit(self, route: str, rate: float, burst: int, who: str, *, issuer: str) -> None:
        """Takes from the bucket that `who` has at this route, or raises RateLimited."""
        bucket = _hashed("rate", route, who)
        try:
            wait = await self._store.take(bucket, rate=rate, burst=burst)
        except StoreUnavailable:
            wait = await self._local.take(bucket, rate=rate, burst=burst)
        if wait > 0:
            raise _limited(issuer, wait)


class LoginGuard:
    """Counts an issuer's failed logins, per user name and per client address.

    From the `failures`-th within `window` seconds on a name or address is barred, twice as long
    with each further attempt, up to `longest` seconds.
    """

    __slots__ = (
        "_failures",
        "_gates",
        "_issuer",
        "_local",
        "_longest",
        "_patience",
        "_store",
        "_window",
    )

    def __init__(
        self,
        *,
        store: Store,
        local: Store,
        failures: int,
        window: float,
        longest: float,
        issuer: str,
        patience: float = PATIENCE,
    ) -> None:
        self._store = store
        self._local = local
        self._failures = failures
        self._window = window
        self._longest = longest
        self._issuer = issuer
        self._patience = patience
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def attempt(self, names: Sequence[str], address: str) -> AsyncIterator["Attempt"]:
        """Holds a place for one login; say within how it went, or nothing where that is unknown.

        Raises RateLimited for what is barred, and where no place was free in time.
        """
        spelled = {name for name in map(_normal, names) if name}
        users = sorted(_hashed("login name", self._issuer, name) for name in spelled)
        # Everybody takes places in this one order, so that no two wait for each other.
        keys = [*users, _hashed("login address", self._issuer, network_of(address))]
        held: list[str] = []
        try:
            await self._enter(keys, held)
            yield Attempt(self, users, keys)
        finally:
            for key in held:
                self._release(key)

    async def _enter(self, keys: list[str], held: list[str]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                for key in keys:
                    await self._take_place(key)
                    held.append(key)
        except TimeoutError as error:
            raise _limited(self._issuer, 1.0) from error
        except _Barred as error:
            wait = max(error.wait, await self.fail(error.key))
            raise _limited(self._issuer, wait) from None

    async def _take_place(self, key: str) -> None:
        """Waits until one more failure would not be one too many, or nobody else tries."""
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = _Gate()
        gate.waiting += 1
        try:
            async with gate.door:
                while True:
                    gate.has_changed.clear()
                    count, wait = await self._counted(key)
                    if wait > 0:
                        raise _Barred(key, wait)
                    if gate.has_changed.is_set():
                        continue  # an attempt ended meanwhile: its failure may not be in the count
                    if not gate.in_flight or count + gate.in_flight < self._failures:
                        gate.in_flight += 1
                        return
                    await gate.has_changed.wait()
        finally:
            gate.waiting -= 1
            self._forget_idle(key, gate)

    def _release(self, key: str) -> None:
        gate = self._gates[key]
        gate.in_flight -= 1
        gate.has_changed.set()
        self._forget_idle(key, gate)

    def _forget_idle(self, key: str, gate: "_Gate") -> None:
        if not gate.waiting and not gate.in_flight:
            del self._gates[key]

    async def _counted(self, key: str) -> tuple[int, float]:
        try:
            return await self._store.failures(key)
        except StoreUnavailable:
            return await self._local.failures(key)

    async def fail(self, key: str) -> float:
        """Counts a failure; the seconds that the key is barred now."""
        limit, window, longest = self._failures, self._window, self._longest
        try:
            return await self._store.fail(key, limit=limit, window=window, longest=longest)
        except StoreUnavailable:
            return await self._local.fail(key, limit=limit, window=window, longest=longest)

    async def forgive(self, key: str) -> None:
        await self._local.forgive(key)  # what an outage left there is over too
        try:
            await self._store.forgive(key)
        except StoreUnavailable:
            return  # the login is good all the same; its count runs out by itself

    def __repr__(self) -> str:
        return f"<LoginGuard {self._issuer} {len(self._gates)} names and addresses in flight>"


class Attempt:
    """One login that goes ahead. Say how it went before the client hears of it."""

    __slots__ = ("_guard", "_keys", "_users")

    def __init__(self, guard: LoginGuard, users: list[str], keys: list[str]) -> None:
        self._guard = guard
        self._users = users
        self._keys = keys

    async def failed(self) -> None:
        """Counts against the names and the address."""
        for key in self._keys:
            await self._guard.fail(key)

    async def succeeded(self) -> None:
        """Forgets the name's failures; not the address's, from which one account may be good.

        Of several names nobody knows whose password it was.
        """
        if len(self._users) == 1:
            await self._guard.forgive(self._users[0])


class _Gate:
    """Who is trying under one name or address, in this process."""

    __slots__ = ("door", "has_changed", "in_flight", "waiting")

    def __init__(self) -> None:
        self.door = asyncio.Lock()  # one looks at the count at a time, in the order they came
        self.has_changed = asyncio.Event()
        self.in_flight = 0
        self.waiting = 0


class _Barred(Exception):
    def __init__(self, key: str, wait: float) -> None:
        super().__init__("barred")
        self.key = key
        self.wait = wait


def network_of(address: str) -> str:
    """Who is counted as one: an IPv4 address, or the /64 that one IPv6 client has to itself."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.IPv6Network((parsed, 64), strict=False))


def _limited(issuer: str, wait: float) -> RateLimited:
    return RateLimited(issuer=issuer, retry_after=max(1, math.ceil(wait)))


def _normal(name: str) -> str:
    """How a name is counted: spellings that an upstream may take for the same user are one."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def _hashed(*parts: str) -> str:
    # Lengths keep ("ab", "c") apart from ("a", "bc"); a claim may hold half a surrogate pair.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16].hex()
