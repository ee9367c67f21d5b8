"""Asks one server of an upstream, past the gateway, as an HTTP/1.1 client of its own.

Rules
- No cookie, redirect, proxy or credential of this machine: each request is what its check says.
- Everything is bounded: connecting, reading, the whole exchange, and how much is read.
- GET is asked freely; POST with an empty body, and only of login pages.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpcore
import httpx

from gateway.config import ServerAddress

PATIENCE = 5.0  # seconds for one exchange
_CONNECTING = 2.0
_AT_ONCE = 0.02  # … in which a connection that has ended is told to be so
_LARGEST = 256 * 1024  # bytes of an answer


class Unanswered(Exception):
    """The server gave no HTTP answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer, and between which moments of the local clock it came."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    asked: float
    answered: float

    def header(self, name: str) -> str:
        value: str = self.headers.get(name, "")
        return value


class Probe:
    """One server; `host` is what requests name it by, which Django must allow."""

    def __init__(self, address: ServerAddress, *, host: str, wall: Callable[[], float]) -> None:
        self.address = address
        self.host = host
        self._wall = wall
        self._base = "http://server" if address.path is not None else address.url.rstrip("/")
        self._transport = httpx.AsyncHTTPTransport(uds=address.path, retries=0, trust_env=False)

    def __repr__(self) -> str:
        return f"<Probe {self.address.url}>"

    async def close(self) -> None:
        await self._transport.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
    ) -> Seen:
        """The answer; raises Unanswered."""
        seen, _ = await self._exchange(method, path, headers or {}, host or self.host)
        return seen

    async def closes_after(self, path: str, *, within: float) -> float | None:
        """How many seconds a connection lives on idle behind an answer: 0 where the answer ends it,
        None for longer than `within`. Raises Unanswered.
        """
        seen, stream = await self._exchange("GET", path, {}, self.host)
        if "close" in seen.header("connection").lower() or stream is None:
            return 0.0
        began = time.monotonic()
        try:
            await stream.read(1, timeout=within)
        except httpcore.ReadTimeout:
            return None
        except httpcore.NetworkError:
            # The end was the answer's own (RFC 9112 §6.3), or else it is a reset.
            if time.monotonic() - began < _AT_ONCE:
                return 0.0
        return time.monotonic() - began

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], host: str
    ) -> tuple[Seen, httpcore.AsyncNetworkStream | None]:
        fields = {
            "Host": host,
            "User-Agent": "gateway-doctor",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **headers,
        }
        timeout = {"connect": _CONNECTING, "read": PATIENCE, "write": PATIENCE, "pool": PATIENCE}
        request = httpx.Request(
            method, self._base + path, headers=fields, extensions={"timeout": timeout}
        )
        asked = self._wall()
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self._transport.handle_async_request(request)
                answered = self._wall()
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise Unanswered(f"no whole answer within {PATIENCE:g} s") from error
        except httpx.ConnectTimeout as error:
            raise Unanswered(f"no connection within {_CONNECTING:g} s") from error
        except httpx.TimeoutException as error:
            raise Unanswered(f"no answer within {PATIENCE:g} s") from error
        except httpx.TransportError as error:
            raise Unanswered(_reason(error)) from error
        seen = Seen(response.status_code, response.headers, body, asked, answered)
        return seen, response.extensions.get("network_stream")


async def _read(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) >= _LARGEST:
            break
    return body[:_LARGEST]


def _reason(error: BaseException) -> str:
    """The system's own word on what failed, where there is one below."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
