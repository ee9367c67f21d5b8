"""CORS at the edge (Fetch §3.2): what pages of other origins may ask for and read, by the route.

Rules
- An answer has the fields of the route that its request takes; a token endpoint's, of the route
  that its path would take.
- A preflight belongs to the route of the request that it asks about; where none takes that, to the
  route of OPTIONS.
- Origins compare byte for byte. What is not allowed is answered without the fields that allow it:
  to refuse is the browser's part.
- Vary is said with or without an Origin, or a cache would give one page the answer to another.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final, Generic

from gateway.config import CorsConfig
from gateway.request import RequestHead
from gateway.routing import Own, Route, RouteTable

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

CREDENTIALS: Final = (b"access-control-allow-credentials", b"true")

# What the gateway says itself, and a front end acts on.
_EXPOSED = ("X-Request-Id", "Retry-After", "WWW-Authenticate")
_VARY = (b"vary", b"Origin")
_PREFLIGHT_VARY = (
    b"vary",
    b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
)
_SUSPECT = frozenset(b"AaVv")  # how the names begin that are looked at, to lower few of the others
_NAMES = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+(?:, [!#$%&'*+\-.^_`|~0-9a-z]+)*")


class CorsRule:
    """One route's `cors`, with its answers written in advance."""

    __slots__ = (
        "_allowed", "_headers", "_listed", "_max_age", "_otherwise", "_read", "_unread", "methods",
    )  # fmt: skip

    def __init__(self, config: CorsConfig) -> None:
        exposed = ", ".join(dict.fromkeys((*_EXPOSED, *config.expose_headers)))
        credentials = (CREDENTIALS,) if config.credentials else ()
        exposing = (b"access-control-expose-headers", exposed.encode())
        is_open = "*" in config.origins
        self._allowed: dict[bytes | None, Fields] = {}
        self._read: dict[bytes | None, Fields] = {}
        for origin in () if is_open else config.origins:
            allowing = ((b"access-control-allow-origin", origin.encode()), *credentials)
            self._allowed[origin.encode()] = allowing
            self._read[origin.encode()] = (*allowing, exposing, _VARY)
        everybody = ((b"access-control-allow-origin", b"*"),)
        self._otherwise: Fields = everybody if is_open else ()
        self._unread: Fields = (*everybody, exposing) if is_open else (_VARY,)
        self._headers = frozenset(name.lower() for name in config.headers)
        self._listed = ", ".join(config.headers).encode()
        self._max_age = (b"access-control-max-age", b"%d" % config.max_age)
        self.methods = config.methods

    def grant(self, origin: bytes | None) -> Fields:
        """What an answer says to a page of this origin."""
        return self._read.get(origin, self._unread)

    def allow(self, request: RequestHead, methods: Collection[str]) -> Fields:
        """What a preflight is answered, where the route takes these methods."""
        allowing = self._allowed.get(request.header(b"origin"), self._otherwise)
        asked = (request.header(b"access-control-request-method") or b"").decode("latin-1")
        named = (request.header(b"access-control-request-headers") or b"").decode("latin-1")
        names = {name for part in named.lower().split(",") if (name := part.strip(" \t"))}
        if not allowing or asked not in methods or not self._covers(names):
            return (_PREFLIGHT_VARY,)
        listed = self._listed
        if "*" in self._headers:  # browsers don't take it for all where credentials are sent
            listed = ", ".join(sorted(names)).encode()
        allowed = (b"access-control-allow-methods", ", ".join(methods).encode())
        headers = ((b"access-control-allow-headers", listed),) if listed else ()
        return (*allowing, allowed, *headers, self._max_age, _PREFLIGHT_VARY)

    def _covers(self, names: set[str]) -> bool:
        if "*" in self._headers:
            return not names or _NAMES.fullmatch(", ".join(names)) is not None
        return names <= self._headers


class Cors(Generic[Own]):
    """The rules of all routes; what an answer is to say is put into its request's `cors`.

    `preflight` is what answers preflights.
    """

    def __init__(self, table: RouteTable, *, preflight: Own) -> None:
        self._table = table
        self._preflight = preflight
        rules: dict[CorsConfig, CorsRule] = {}  # routes that say the same share one
        self._rules: dict[Route, CorsRule] = {}
        for route in table.routes:
            config = route.config.cors
            if config is not None:
                self._rules[route] = rules.setdefault(config, CorsRule(config))

    def grant(self, request: RequestHead, route: Route) -> None:
        """For the answer to this request, which this route takes.

        What an upstream answers to a preflight is its own word.
        """
        rule = self._rules.get(route)
        if rule is not None and not request.is_preflight:
            request.cors = rule.grant(request.header(b"origin"))

    def cover(self, request: RequestHead, host: str) -> None:
        """For the answer of a token endpoint."""
        route = self._table.find(request.method, host, request.path) if self._rules else None
        if route is not None:
            self.grant(request, route)

    def find_preflight(self, request: RequestHead, host: str) -> Own | None:
        """What answers this preflight; None for what is no preflight, or none to answer here."""
        if not self._rules or not request.is_preflight or request.header(b"origin") is None:
            return None
        find, path = self._table.find, request.path
        asked = (request.header(b"access-control-request-method") or b"").decode("latin-1")
        route = find(asked, host, path) or find("OPTIONS", host, path)
        rule = self._rules.get(route) if route is not None else None
        if route is None or rule is None:
            return None
        # Browsers remember every method that is listed: none of another rule may be among them.
        routes = ((method, find(method, host, path)) for method in rule.methods)
        methods = [name for name, one in routes if one and self._rules.get(one) is rule]
        request.cors = rule.allow(request, methods)
        request.route = route.name
        return self._preflight


def with_cors(headers: Iterable[Field], cors: Fields) -> list[Field]:
    """An answer's fields, with what CORS is to say in the place of what they said of it."""
    kept: list[Field] = []
    varies: list[int] = []
    for field in headers:
        name = field[0]
        if name[0] in _SUSPECT:
            name = name.lower()
            if name.startswith(b"access-control-"):
                continue
            if name == b"vary":
                varies.append(len(kept))
        kept.append(field)
    for field in cors:
        if field[0] == b"vary" and varies:
            _merge(kept, varies, field[1])
        else:
            kept.append(field)
    return kept


def _merge(headers: list[Field], lines: list[int], value: bytes) -> None:
    """Adds to the last of these lines what none of them has yet (RFC 9110 §12.5.5)."""
    said = b",".join([headers[number][1] for number in lines]).lower().split(b",")
    members = {member.strip(b" \t") for member in said}
    missing = [one for one in value.split(b", ") if one.lower() not in members]
    if missing and b"*" not in members:
        name, before = headers[lines[-1]]
        headers[lines[-1]] = (name, b", ".join([before, *missing]))
