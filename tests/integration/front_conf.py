"""What the tests of deploy/nginx/front.conf share: nginx with the file, and its clients."""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.processes import Processes
from tests.integration.exchange import Answer, head, receive
from tests.integration.fronts import certificate, start_deployed
from tests.ports import free_ports

BALANCER = "127.0.0.9"  # whose word in the PROXY protocol is believed


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Front:
    plain: int
    tls: int
    proxied: int

    def open(self, *, proxy: bytes = b"", source: str = "127.0.0.1") -> ssl.SSLSocket:
        """A TLS connection, opened as a balancer does where there are bytes before it."""
        port = self.proxied if proxy else self.tls
        plain = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
        plain.sendall(proxy)
        return trusting().wrap_socket(plain, server_hostname="localhost")

    def ask(
        self, method: str, path: str, *fields: tuple[str, str], body: bytes = b"", **how: Any
    ) -> Answer:
        length = [("Content-Length", str(len(body)))] if body else []
        with self.open(**how) as connection:
            connection.sendall(head(method, path, headers=[*fields, *length]) + body)
            return receive(connection, method)


def start(
    gateways: list[str], *, directory: Path, children: Processes, streams: str = "/events/"
) -> Front:
    """nginx with the file as it stands, but for where all is."""
    front = Front(*free_ports(3))
    (directory / "tls.pem").write_bytes(certificate())
    addresses = [address.removeprefix("http://") for address in gateways]
    places = {
        "listen 80;": f"listen 127.0.0.1:{front.plain};",
        "listen 443 ": f"listen 127.0.0.1:{front.tls} ",
        "listen 8443 ": f"listen 127.0.0.1:{front.proxied} ",
        "set_real_ip_from 10.0.0.0/8;": f"set_real_ip_from {BALANCER}/32;",
        "/etc/nginx/tls/fullchain.pem": "tls.pem",
        "/etc/nginx/tls/privkey.pem": "tls.pem",
        "server 127.0.0.1:8081 ": f"server {addresses[0]} ",
        "server 127.0.0.1:8082 ": f"server {addresses[-1]} ",
        "location /events/ ": f"location {streams} ",
    }
    start_deployed("front.conf", places, port=front.plain, directory=directory, children=children)
    return front


def reached(by: str, directory: Path) -> dict[str, Any]:
    """The section `server` of a gateway that nginx reaches by `tcp` or `unix`."""
    if by == "unix":
        return {"host": f"unix:{directory / 'gateway.sock'}"}
    return {"trusted_proxies": ["127.0.0.1/32"]}


def config(echo: str, server: dict[str, Any]) -> dict[str, Any]:
    return {
        "server": server,
        "logging": {"access_log": False},
        "upstreams": {"echo": {"servers": [echo]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


@dataclass
class Clients:
    """Clients on kept TLS connections that read and write in turn, and what came of it."""

    port: int
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    entered: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    is_over: bool = False

    @property
    def answered(self) -> int:
        return sum(self.answers.values())

    async def until_answered(self, number: int) -> None:
        goal = self.answered + number
        async with asyncio.timeout(60):
            while self.answered < goal:
                assert self.failures == []
                await asyncio.sleep(0.005)

    async def keep_asking(self, who: int) -> None:
        reader, writer = await self._open()
        number = 0
        while not self.is_over:
            number += 1
            name = f"entry-{who}-{number}"
            method, path = ("POST", f"/entries/{name}/") if number % 2 else ("GET", "/load/")
            length = [("Content-Length", "4")] if method == "POST" else []
            try:
                async with asyncio.timeout(30):
                    writer.write(head(method, path, headers=length) + b"body" * len(length))
                    answer = await reader.readuntil(b"\r\n\r\n")
                    await self._body(reader, answer.lower())
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(f"{method}: {type(error).__name__}")
                break
            status = int(answer[9:12])
            self.answers[method, status] += 1
            if status == 201:
                self.entered.append(name)
            if b"connection: close" in answer.lower():  # nginx has counted its keepalive_requests
                writer.close()
                reader, writer = await self._open()
        writer.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=trusting())

    async def _body(self, reader: asyncio.StreamReader, answer: bytes) -> None:
        if b"transfer-encoding: chunked" in answer:
            await reader.readuntil(b"0\r\n\r\n")
        else:
            length = answer.partition(b"content-length: ")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length))

    @contextlib.asynccontextmanager
    async def running(self, number: int) -> AsyncIterator["Clients"]:
        tasks = [asyncio.create_task(self.keep_asking(who)) for who in range(number)]
        try:
            yield self
        finally:
            self.is_over = True
            await asyncio.gather(*tasks)
