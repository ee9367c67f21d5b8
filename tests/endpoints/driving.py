"""A gateway in this process before a small app of the tests, asked as its clients ask.

Rules
- The gateway is whole, and asked by ASGI; the app is a real server on the loopback.
- The store is a real MemoryStore that can be taken away, and given back.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest

from gateway.app import Gateway
from gateway.config.load import load
from gateway.errors import StoreUnavailable
from gateway.stores import MemoryStore
from tests.factories import SECRET, Claims, sign
from tests.servers import Upstreamed, scripted

LOGIN, REFRESH, VERIFY, LOGOUT, LOGOUT_ALL = (
    "/api/token/",
    "/api/token/refresh/",
    "/api/token/verify/",
    "/api/token/blacklist/",
    "/api/token/blacklist_all/",
)
_PATHS = (
    f"obtain: {LOGIN}, refresh: {REFRESH}, verify: {VERIFY}, blacklist: {LOGOUT}, "
    f"blacklist_all: {LOGOUT_ALL}"
)

SITE = """
{server}
logging: {{access_log: false}}
store: {{max_staleness: 1h}}
issuers:
  students: {{{issuer}, endpoints: {{{paths}}}}}
upstreams:
  students: {{servers: ["http://127.0.0.1:{port}"], timeouts: {{connect: 1s, read: {read}}}}}
"""
CONFIG = (
    SITE
    + """routes:
  - {{path: /open/, auth: none, upstream: students}}
  - {{path: /, auth: required, issuers: [students], upstream: students}}
"""
)


class TakenAway(MemoryStore):
    """A store that is not there while `is_away`."""

    is_local = False  # as one that can go away is
    is_away = False


def _withheld(name: str) -> Callable[..., Any]:
    kept = getattr(MemoryStore, name)

    async def method(self: TakenAway, *args: Any, **kwargs: Any) -> Any:
        if self.is_away:
            raise StoreUnavailable
        return await kept(self, *args, **kwargs)

    return method


for _name in (
    "open_session", "rotate", "inspect", "end_session", "end_user", "known", "claim", "complete",
    "release", "take", "failures", "fail", "forgive",
):  # fmt: skip
    setattr(TakenAway, _name, _withheld(_name))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the app got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def field(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


@dataclass
class App:
    """What stands behind the gateway; `answer` says what it does, None breaks the connection."""

    answer: Callable[[Asked], bytes | None]
    asked: list[Asked] = field(default_factory=list)

    async def __call__(self, connection: Upstreamed) -> None:
        while True:
            lines = (await connection.head()).decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await connection.reader.readexactly(int(headers.get("content-length", "0")))
            one = Asked(method, target, headers, body)
            self.asked.append(one)
            said = self.answer(one)
            if said is None:
                connection.reset()
                return
            await connection.send(said)

    def paths(self) -> list[str]:
        return [one.target for one in self.asked]


def said(
    body: bytes | str | object = b"",
    status: int = 200,
    *more: str,
    content_type: str = "application/json",
) -> bytes:
    """A whole answer of the app; what is neither bytes nor text is written as JSON."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {content_type}", *more]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer of the gateway."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    @property
    def cookies(self) -> list[str]:
        return self.fields("set-cookie")

    def fields(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def __getitem__(self, name: str) -> str | None:
        return next(iter(self.fields(name)), None)


@dataclass
class Driven:
    """A gateway that is asked in process."""

    gateway: Gateway
    store: TakenAway
    app: App

    async def ask(
        self,
        path: str,
        body: object = b"",
        *headers: tuple[str, str],
        method: str = "POST",
        content_type: str | None = "application/json",
        host: str = "app.example",
        peer: str = "127.0.0.1",
        leaves: bool = False,
    ) -> Heard:
        """`body` is sent as JSON unless it is bytes; `leaves` says the client leaves in it."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        plain, _, query = path.partition("?")
        fields = [("host", host), ("content-length", str(len(data))), *headers]
        if content_type is not None and data:
            fields.append(("content-type", content_type))
        sent: list[Any] = []

        async def receive() -> Any:
            if leaves:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": plain,
            "raw_path": plain.encode("latin-1"),
            "query_string": query.encode(),
            "scheme": "http",
            "http_version": "1.1",
            "client": (peer, 50000),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in fields],
        }
        await self.gateway(scope, receive, send)
        if not sent:
            return Heard(499, [], b"")
        start, *pieces = sent
        return Heard(
            start["status"],
            [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in start["headers"]],
            b"".join(piece.get("body", b"") for piece in pieces),
        )

    async def refresh(self, token: str, *headers: tuple[str, str]) -> Heard:
        return await self.ask(REFRESH, {"refresh": token}, *headers)

    async def call(self, token: str, path: str = "/api/me/") -> Heard:
        """An API call with this access token."""
        return await self.ask(path, b"", ("authorization", f"Bearer {token}"), method="GET")

    async def log_in(self, *headers: tuple[str, str], **fields: Any) -> Heard:
        return await self.ask(LOGIN, {"username": "alice", "password": "pw", **fields}, *headers)


@contextlib.asynccontextmanager
async def driven(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Asked], bytes | None],
    *,
    issuer: str = f"signing_key: {SECRET}",
    server: str = "",
    paths: str = _PATHS,
    read: str = "5s",
    config: str = CONFIG,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[Driven]:
    """A gateway with this issuer before an app that answers so."""
    app = App(answer)
    async with scripted(app) as upstream:
        file = directory / "config.yaml"
        file.write_text(
            config.format(issuer=issuer, server=server, paths=paths, port=upstream.port, read=read)
        )
        store = TakenAway(wall=wall)
        monkeypatch.setattr("gateway.app.state.open_store", lambda _: store)
        gateway = Gateway(load(file, environ={}).config)
        await gateway.start()
        try:
            yield Driven(gateway, store, app)
        finally:
            await gateway.stop()


def pair(*, ahead: int = 0, key: str = SECRET, **more: Any) -> dict[str, str]:
    """A login's tokens as simplejwt writes them at this moment."""
    now = int(time.time()) + ahead
    one: Claims = {"iat": now, "user_id": "1", **more}

    def token(kind: str, life: int) -> str:
        claims = {"token_type": kind, "exp": now + life, "jti": uuid4().hex, **one}
        return sign(claims, key)

    return {"refresh": token("refresh", 86400), "access": token("access", 300)}


def claims_of(token: str) -> Claims:
    """What the token says, unverified."""
    decoded: Claims = jwt.decode(token, options={"verify_signature": False})
    return decoded
