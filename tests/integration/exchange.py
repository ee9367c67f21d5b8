"""A plain HTTP/1.1 client: it sends exactly the bytes it is given, and keeps what it gets."""

import json
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from examples.apps import connect

Fields = Iterable[tuple[str, str]]

# What belongs to one connection or one moment, not to the answer.
_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}
_OF_THE_MOMENT = {"date", "expires"}
# Django's random values and the moments of its cookies; JSON Web Tokens.
_CHANGING = re.compile(
    rb"eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=csrftoken=)\w+|(?<=sessionid=)\w+|(?<=expires=)[^;]+"
    rb"|\b[A-Za-z0-9]{64}\b"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, its header fields in their order and spelling."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def essence(self) -> tuple[Any, ...]:
        """What two answers to the same request have in common, however they came here."""
        kept = tuple(
            (name, _masked(value.encode("latin-1")) if name.lower() not in _OF_THE_MOMENT else b"")
            for name, value in self.headers
            if name.lower() not in _OF_THE_CONNECTION
        )
        return self.status, self.reason, kept, _masked(self.body)

    @property
    def refusal(self) -> tuple[Any, ...]:
        """What the gateway's own refusal must have in common with the package's."""
        return (
            self.status,
            self.body,
            self.header("Content-Type"),
            self.header("WWW-Authenticate"),
        )


def _masked(value: bytes) -> bytes:
    return _CHANGING.sub(b"(changing)", value)


def head(
    method: str, target: str | bytes, *, headers: Fields = (), host: str | None = "localhost"
) -> bytes:
    """A request's head, to the empty line; text is Latin-1, as on the wire."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    fields = [*([("Host", host)] if host is not None else []), *headers]
    lines = [method.encode() + b" " + raw + b" HTTP/1.1"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in fields]
    return b"\r\n".join([*lines, b"", b""])


def receive(connection: socket.socket, method: str = "GET") -> Answer:
    """The next answer on this connection; raises HTTPException for one that is broken off."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Answer(
            response.status, response.reason, tuple(response.getheaders()), response.read()
        )
    finally:
        response.close()


def ask(
    address: str,
    method: str,
    target: str | bytes,
    *,
    headers: Fields = (),
    body: bytes | None = None,
    host: str | None = "localhost",
) -> Answer:
    """One request on a connection of its own."""
    fields = [*headers, *([("Content-Length", str(len(body)))] if body is not None else [])]
    with connect(address) as connection:
        connection.settimeout(30)
        connection.sendall(head(method, target, headers=fields, host=host) + (body or b""))
        return receive(connection, method)


def burst(address: str, requests: Iterable[bytes]) -> list[Answer]:
    """Bodyless or whole requests, all in flight at once, each on a connection of its own."""
    with ExitStack() as stack:
        connections = []
        for request in requests:
            connection = stack.enter_context(connect(address))
            connection.settimeout(30)
            connection.sendall(request)
            connections.append(connection)
        return [receive(connection) for connection in connections]


@dataclass(frozen=True, slots=True)
class Door:
    """An app's own address and the gateway's, asked the same."""

    direct: str
    gateway: str

    def both(
        self,
        method: str,
        target: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        host: str = "localhost",
    ) -> tuple[Answer, Answer]:
        """The direct answer and the one through the gateway, for the test to compare."""
        direct = ask(self.direct, method, target, headers=headers, body=body, host=host)
        through = ask(self.gateway, method, target, headers=headers, body=body, host=host)
        return direct, through

    def same(
        self,
        method: str,
        target: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        host: str = "localhost",
    ) -> Answer:
        """The answer through the gateway, which must be what the app answers directly."""
        direct, through = self.both(method, target, headers=headers, body=body, host=host)
        assert through.essence == direct.essence
        return through


def meta_of(answer: Answer) -> dict[str, str]:
    """Django's request.META, as the echo app tells it."""
    assert answer.status == 200, answer
    meta: dict[str, str] = answer.json()["meta"]
    return meta


def told(meta: Mapping[str, str], *names: str) -> dict[str, str]:
    """What META holds of these headers, absent ones left out."""
    keys = [f"HTTP_{name.upper().replace('-', '_')}" for name in names]
    return {key: meta[key] for key in keys if key in meta}


JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def authorization(value: str) -> tuple[str, str]:
    return ("Authorization", value)
