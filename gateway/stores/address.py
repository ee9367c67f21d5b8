"""Where a store is: its URL, read once.

redis://  rediss://  unix://  redis+sentinel://h1,h2/name/0  redis+cluster://h1,h2  (rediss+… too)
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

Host = tuple[str, int]

_PORT, _SENTINEL_PORT = 6379, 26379
_OPTIONS = ("db", "ssl_ca_certs", "sentinel_password")


class Layout(Enum):
    """How the servers of a store are found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where a store is, and what opens it. Neither its repr nor `str` shows a password."""

    layout: Layout
    hosts: tuple[Host, ...]
    path: str = ""  # of a Unix socket
    master: str = ""  # the name that the Sentinels know it by
    database: int = 0
    is_encrypted: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    ca_certs: str | None = None

    def __str__(self) -> str:
        return self.path or ",".join(f"{host}:{port}" for host, port in self.hosts)

    def connection(self, host: Host | None, *, timeout: float) -> "AbstractConnection":
        """A connection to one of the store's servers, not open yet."""
        options = self._options(timeout)
        options |= {"db": self.database, "username": self.username, "password": self.password}
        return self._connection(host, options)

    def sentinel_connection(self, host: Host, *, timeout: float) -> "AbstractConnection":
        return self._connection(host, self._options(timeout) | {"password": self.sentinel_password})

    def _options(self, timeout: float) -> dict[str, Any]:
        # The library's defaults are 5 s and 10 retries. Reads are bounded by who makes the call:
        # a timer for each part of it would only cost.
        return {"socket_timeout": None, "socket_connect_timeout": timeout, "protocol": 2}

    def _connection(self, host: Host | None, options: dict[str, Any]) -> "AbstractConnection":
        # Here, for a URL is also read where nobody connects.
        from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection

        if host is None:
            return UnixDomainSocketConnection(path=self.path, **options)
        if self.is_encrypted:
            if self.ca_certs:
                options["ssl_ca_certs"] = self.ca_certs
            return SSLConnection(host=host[0], port=host[1], **options)
        return Connection(host=host[0], port=host[1], **options)


def read_address(url: str) -> StoreAddress:
    """The address that a URL says. Raises ValueError, without the URL: it may hold a password."""
    scheme, separator, _ = url.partition("://")
    base, _, layout_name = scheme.partition("+")
    if not separator or base not in ("redis", "rediss", "unix") or (base == "unix" and layout_name):
        raise ValueError("a store's URL begins with redis, rediss or unix")
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    for name in query:
        if name not in _OPTIONS:
            raise ValueError(f"a store's URL takes no such option; known: {', '.join(_OPTIONS)}")
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    common: dict[str, Any] = {
        "is_encrypted": base == "rediss",
        "username": unquote(username) or None,
        "password": unquote(password) or None,
        "sentinel_password": query.get("sentinel_password"),
        "ca_certs": query.get("ssl_ca_certs"),
    }
    segments = [unquote(part) for part in parts.path.split("/") if part]
    if base == "unix":
        database = _database(query.get("db", "0"))
        return StoreAddress(Layout.SINGLE, (), path=parts.path, database=database, **common)
    if layout_name == "sentinel":
        if not segments:
            raise ValueError("a Sentinel's URL names the master: redis+sentinel://host:26379/name")
        database = _database(segments[1] if len(segments) > 1 else "0")
        hosts = _hosts(places, _SENTINEL_PORT)
        return StoreAddress(Layout.SENTINEL, hosts, master=segments[0], database=database, **common)
    if layout_name == "cluster":
        if segments or "db" in query:
            raise ValueError("a cluster has no numbered databases")
        return StoreAddress(Layout.CLUSTER, _hosts(places, _PORT), **common)
    if layout_name:
        raise ValueError("a store is redis, redis+sentinel or redis+cluster")
    hosts = _hosts(places or "localhost", _PORT)
    if len(hosts) > 1:
        raise ValueError("one redis:// URL names one server")
    database = _database(segments[0] if segments else query.get("db", "0"))
    return StoreAddress(Layout.SINGLE, hosts, database=database, **common)


def _hosts(places: str, port: int) -> tuple[Host, ...]:
    return tuple(_host(place, port) for place in places.split(","))


def _host(place: str, port: int) -> Host:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("a store's URL names its hosts")
    return parts.hostname, parts.port or port


def _database(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a store's database is a number")
    return int(text)
