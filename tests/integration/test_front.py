"""deploy/nginx/front.conf under a real nginx: TLS before two gateways, restarted in turn."""

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from examples.processes import Processes
from tests.integration.exchange import Answer, ask, head, receive
from tests.integration.fronts import certificate, free_ports, start_deployed
from tests.integration.live.servers import start_live
from tests.integration.servers import RunningEcho, RunningGateway, start_gateway

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


def config(echo: str) -> dict[str, Any]:
    return {
        "server": {"trusted_proxies": ["127.0.0.1/32"]},
        "logging": {"access_log": False},
        "upstreams": {"echo": {"servers": [echo]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


@pytest.fixture(scope="module")
def front(
    echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp("front")
    gateway = start_gateway(config(echo), directory=directory, children=children)
    yield start([gateway.address], directory=directory, children=children)
    gateway.process.stop()


def test_plain_http_is_sent_to_tls_with_its_method(front: Front) -> None:
    answer = ask(f"http://127.0.0.1:{front.plain}", "POST", "/x/?a=1", body=b"x")
    assert (answer.status, answer.header("Location")) == (308, "https://localhost/x/?a=1")


def test_browsers_get_http_2(front: Front) -> None:
    done = subprocess.run(
        [
            "curl", "--silent", "--insecure", "--http2", "--max-time", "20", "--write-out",
            "\n%{http_version} %{http_code}", f"https://127.0.0.1:{front.tls}/shop/",
        ],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    body, _, told = done.stdout.rpartition("\n")
    assert told == "2 200"
    assert json.loads(body)["scheme"] == "https"


def test_what_clients_say_of_themselves_is_replaced(front: Front) -> None:
    forged = [
        ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "http"), ("Forwarded", "for=6.6.6.6"),
        ("X-Forwarded-Host", "evil.example"), ("X-Request-Id", "forged"),
    ]  # fmt: skip
    told = front.ask("GET", "/shop/", *forged, source="127.0.0.5").json()
    meta = told["meta"]
    assert told["scheme"] == "https"
    assert meta["HTTP_X_FORWARDED_FOR"] == "127.0.0.5, 127.0.0.1"
    assert meta["HTTP_X_FORWARDED_HOST"] == meta["HTTP_HOST"] == "localhost"
    assert "6.6.6.6" not in str(meta)
    assert "forged" not in str(meta)


@pytest.mark.parametrize(
    ("source", "client"), [(BALANCER, "203.0.113.7"), ("127.0.0.8", "127.0.0.8")]
)
def test_the_proxy_protocol_counts_from_the_balancer_alone(
    front: Front, source: str, client: str
) -> None:
    line = b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 443\r\n"
    meta = front.ask("GET", "/shop/", proxy=line, source=source).json()["meta"]
    assert meta["HTTP_X_FORWARDED_FOR"].split(", ")[0] == client


def test_the_question_of_other_proxies_is_not_for_clients(front: Front) -> None:
    told = [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/")]
    assert front.ask("GET", "/_gateway/authz", *told).status == 404


def test_a_stream_arrives_while_it_goes_on(
    own_echo: RunningEcho, children: Processes, tmp_path: Path
) -> None:
    gateway = start_gateway(config(own_echo.address), directory=tmp_path, children=children)
    front = start([gateway.address], directory=tmp_path, children=children, streams="/drip/")
    with front.open() as connection:
        connection.sendall(head("GET", "/drip/"))
        received = b""
        while b"first," not in received:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
        assert b"last" not in received
        own_echo.release()
        while b"last" not in received:
            received += connection.recv(65536)


async def test_a_socket_opens_through_tls_and_ends_with_its_session(
    children: Processes, tmp_path: Path
) -> None:
    live = start_live(
        "uvicorn", directory=tmp_path, children=children, trusted_proxies=["127.0.0.1/32"]
    )
    front = start([live.gateway.address], directory=tmp_path, children=children)
    pair = live.log_in()
    address = f"wss://127.0.0.1:{front.tls}/ws/?token={pair['access']}"
    async with connect(address, ssl=trusting(), max_size=None) as opened:
        await opened.send("text")
        assert await opened.recv() == "text"
        live.log_out(pair)
        await opened.wait_closed()
        assert opened.close_code == 1008


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


async def test_no_request_fails_while_both_gateways_are_restarted_in_turn(
    own_echo: RunningEcho, children: Processes, tmp_path: Path, capsys: Any
) -> None:
    ports = free_ports(2)

    def run(number: int) -> RunningGateway:
        directory = tmp_path / f"gateway{number}"
        directory.mkdir(exist_ok=True)
        return start_gateway(
            config(own_echo.address), directory=directory, children=children, port=ports[number]
        )

    gateways = [run(0), run(1)]
    front = start([one.address for one in gateways], directory=tmp_path, children=children)
    async with Clients(front.tls).running(8) as clients:
        for _ in range(3):
            for number in (0, 1):
                await clients.until_answered(200)
                await asyncio.to_thread(gateways[number].process.stop)
                await clients.until_answered(100)
                gateways[number] = await asyncio.to_thread(run, number)
        await clients.until_answered(200)
    with capsys.disabled():
        print(f"\n    6 restarts: {dict(clients.answers)}")
    assert clients.failures == []
    assert set(clients.answers) == {("GET", 200), ("POST", 201)}
    # Each was carried out, and none of them twice.
    assert own_echo.entries() == Counter(clients.entered)
    # The one that came back serves again.
    assert all(one.metric("gateway_requests_total") > 0 for one in gateways)
