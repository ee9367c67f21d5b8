"""An issuer's published keys (RFC 7517 §5), fetched by URL and kept for the whole process.

Rules
- At most two fetches in any 60 seconds, whatever tokens come in; one at a time, shared by all
  who wait for it.
- Good keys stay through an outage; there is never a fallback to others.
- A token that can't be judged for want of keys is KeysUnavailable, never a 401: before the first
  fetch, after a failed one, and while no fetch may be made but a rotation may have happened.
"""

import asyncio
import json
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.errors import KeysUnavailable
from gateway.tokens.keys import Key, key_from_jwk, matching_keys

if TYPE_CHECKING:
    import httpx

Sleep = Callable[[float], Awaitable[None]]

_LOG = logging.getLogger(__name__)

FETCHES, WINDOW = 2, 60.0  # the budget
PAUSE = 1.0  # between the end of one fetch and the next
REFRESH_INTERVAL = 300.0
RETRY_INTERVAL = WINDOW / FETCHES
TIMEOUT = 5.0
MAX_SIZE = 256 * 1024
MAX_KEYS = 32
MAX_WANTED = 1024
# A kid that a fetch looked for in vain is not looked for again so soon.
ABSENT_FOR = 10.0
# Issuers date tokens back, and clocks differ: how long before a fetch a token signed by a key
# younger than that fetch may say it was issued.
BACKDATED = 120.0


class KeysNeeded(Exception):
    """The token names a key that is not here: `await needed.refresh()`, then decide once more.

    Where the second decision wants keys again, `needed.unavailable()` is the answer.
    """

    def __init__(self, *sources: "JwksSource") -> None:
        super().__init__("keys are needed of " + ", ".join(source.issuer for source in sources))
        self.sources = sources

    async def refresh(self) -> None:
        await asyncio.gather(*(source.refresh() for source in self.sources))

    def unavailable(self) -> KeysUnavailable:
        return self.sources[0].unavailable()


@dataclass(frozen=True, slots=True)
class _Lookup:
    at: float  # monotonic
    wall: float
    absent: frozenset[str | None]


def key_client() -> "httpx.AsyncClient":
    """What sources fetch with; whoever needs none is spared the 8 MB of its library."""
    import httpx

    return httpx.AsyncClient(follow_redirects=False, trust_env=False)


class JwksSource:
    """The keys at one URL. Reading is synchronous; only `refresh` and `run` wait."""

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        algorithms: tuple[str, ...],
        client: "httpx.AsyncClient",
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.issuer = issuer
        self._url = url
        self._algorithms = algorithms
        self._client = client
        self._monotonic = monotonic
        self._wall = wall
        self._keys: tuple[Key, ...] = ()
        self._jwks: list[dict[str, Any]] = []
        self._starts: deque[float] = deque(maxlen=FETCHES)
        self._ended = -math.inf
        self._loaded: _Lookup | None = None
        self._failed = False
        self._wanted: set[str | None] = set()
        self._fetching: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def has_keys(self) -> bool:
        return bool(self._keys)

    def inherit(self, other: "JwksSource") -> None:
        """Begins with what another source has of the same place: keys, and its budget."""
        if (other._url, other._algorithms) != (self._url, self._algorithms):
            return
        self._keys, self._jwks = other._keys, other._jwks
        self._starts, self._ended = other._starts, other._ended
        self._loaded, self._failed = other._loaded, other._failed

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls `listener` whenever other keys have come, at once and before any is used."""
        self._listeners.append(listener)

    def matching(self, algorithm: str, key_id: str | None) -> list[Key]:
        return matching_keys(self._keys, algorithm, key_id)

    def judge_unknown(self, key_id: str | None, issued_at: object) -> None:
        """Decides on a good-looking token for which no key is here; returns where none exists.

        `issued_at` is the token's unverified `iat`. Raises KeysNeeded where a fetch may be made,
        KeysUnavailable where not, though the key may exist.
        """
        loaded, now = self._loaded, self._monotonic()
        if loaded and key_id in loaded.absent and now - loaded.at < ABSENT_FOR:
            return
        if self._fetching is not None or self._wait(now) <= 0:
            if len(self._wanted) < MAX_WANTED:
                self._wanted.add(key_id)
            raise KeysNeeded(self)
        is_older = (
            isinstance(issued_at, int | float)
            and loaded is not None
            and (issued_at < loaded.wall - BACKDATED)
        )
        if self._failed or not is_older:
            raise self.unavailable()

    def unavailable(self) -> KeysUnavailable:
        wait = max(1.0, self._wait(self._monotonic()))
        return KeysUnavailable(issuer=self.issuer, retry_after=math.ceil(wait))

    async def refresh(self) -> None:
        """Fetches the keys, or waits for the fetch under way; a failed fetch raises nothing."""
        if self._fetching is None:
            if self._wait(self._monotonic()) > 0:
                return
            self._fetching = asyncio.create_task(self._fetch(), name=f"jwks {self.issuer}")
        # A client that goes away must not take the fetch of all others with it.
        await asyncio.shield(self._fetching)

    async def run(self, *, sleep: Sleep = asyncio.sleep) -> None:
        """Loads the keys and keeps them fresh until cancelled."""
        while True:
            await self.refresh()
            await sleep(RETRY_INTERVAL if self._failed or not self._keys else REFRESH_INTERVAL)

    def _wait(self, now: float) -> float:
        """Seconds until a fetch may be made."""
        wait = self._ended + PAUSE - now
        if len(self._starts) == FETCHES:
            wait = max(wait, self._starts[0] + WINDOW - now)
        return wait

    async def _fetch(self) -> None:
        import httpx  # who has a client has it loaded

        self._starts.append(self._monotonic())
        started = self._wall()
        # Who asks while the answer is on its way may ask for a key that is younger than it.
        asked, self._wanted = self._wanted, set()
        try:
            accepted = self._read(await self._download())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
            self._failed = True
            _LOG.warning("keys of issuer %r can't be fetched: %s", self.issuer, _reason(error))
        else:
            self._failed = False
            self._take(accepted)
            absent = asked - {key.key_id for key in self._keys}
            self._loaded = _Lookup(self._monotonic(), started, frozenset(absent))
        finally:
            self._ended = self._monotonic()
            self._fetching = None

    async def _download(self) -> bytes:
        body = bytearray()
        async with (
            asyncio.timeout(2 * TIMEOUT),
            self._client.stream(
                "GET",
                self._url,
                headers={"Accept": "application/json"},
                follow_redirects=False,
                timeout=TIMEOUT,
            ) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_SIZE:
                    raise ValueError(f"more than {MAX_SIZE} bytes")
        return bytes(body)

    def _read(self, document: bytes) -> list[tuple[dict[str, Any], Key]]:
        """The keys that may verify; those for encryption, too short or of another kind may not."""
        value = json.loads(document)
        listed = value.get("keys") if isinstance(value, dict) else None
        if not isinstance(listed, list):
            raise ValueError("not a JWK Set")
        accepted = []
        for jwk in listed[:MAX_KEYS]:
            key = key_from_jwk(jwk, self._algorithms) if isinstance(jwk, dict) else None
            if key is not None:
                accepted.append((jwk, key))
        if not accepted:
            raise ValueError("no usable key in the JWK Set")
        return accepted

    def _take(self, accepted: list[tuple[dict[str, Any], Key]]) -> None:
        jwks = [jwk for jwk, _ in accepted]
        if jwks == self._jwks:
            return
        self._jwks = jwks
        self._keys = tuple(key for _, key in accepted)
        for listener in self._listeners:
            listener()
        _LOG.info("issuer %r has %d keys", self.issuer, len(self._keys))

    def __repr__(self) -> str:
        return f"<JwksSource {self.issuer} keys={len(self._keys)} failed={self._failed}>"


def _reason(error: Exception) -> str:
    return str(error) if type(error) is ValueError else type(error).__name__
