"""deploy/nginx/front.conf under a real nginx: TLS before two gateways, restarted in turn."""

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from examples.processes import Processes
from tests.conftest import Figure
from tests.integration.exchange import ask, head
from tests.integration.front_conf import BALANCER, Clients, Front, config, reached, start, trusting
from tests.integration.live.servers import start_live
from tests.integration.servers import RunningEcho, RunningGateway, start_gateway
from tests.ports import free_ports


@pytest.fixture(scope="module", params=["tcp", "unix"])
def by(request: pytest.FixtureRequest) -> str:
    """How nginx reaches the gateways."""
    return str(request.param)


@pytest.fixture(scope="module")
def front(
    by: str, echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp("front")
    settings = config(echo, reached(by, directory))
    gateway = start_gateway(settings, directory=directory, children=children)
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


def test_what_clients_say_of_themselves_is_replaced(front: Front, by: str) -> None:
    forged = [
        ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "http"), ("Forwarded", "for=6.6.6.6"),
        ("X-Forwarded-Host", "evil.example"), ("X-Request-Id", "forged"),
    ]  # fmt: skip
    told = front.ask("GET", "/shop/", *forged, source="127.0.0.5").json()
    meta = told["meta"]
    assert told["scheme"] == "https"
    chain = {"tcp": "127.0.0.5, 127.0.0.1", "unix": "127.0.0.5"}
    assert meta["HTTP_X_FORWARDED_FOR"] == chain[by]
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
    by: str, own_echo: RunningEcho, children: Processes, tmp_path: Path
) -> None:
    settings = config(own_echo.address, reached(by, tmp_path))
    gateway = start_gateway(settings, directory=tmp_path, children=children)
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
    by: str, children: Processes, tmp_path: Path
) -> None:
    live = start_live("uvicorn", directory=tmp_path, children=children, **reached(by, tmp_path))
    front = start([live.gateway.address], directory=tmp_path, children=children)
    pair = live.log_in()
    address = f"wss://127.0.0.1:{front.tls}/ws/?token={pair['access']}"
    async with connect(address, ssl=trusting(), max_size=None) as opened:
        await opened.send("text")
        assert await opened.recv() == "text"
        live.log_out(pair)
        await opened.wait_closed()
        assert opened.close_code == 1008


async def test_no_request_fails_while_both_gateways_are_restarted_in_turn(
    by: str, own_echo: RunningEcho, children: Processes, tmp_path: Path, figure: Figure
) -> None:
    ports = free_ports(2)

    def run(number: int) -> RunningGateway:
        directory = tmp_path / f"gateway{number}"
        directory.mkdir(exist_ok=True)
        settings = config(own_echo.address, reached(by, directory))
        return start_gateway(settings, directory=directory, children=children, port=ports[number])

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
    figure(f"6 restarts by {by}: {dict(clients.answers)}")
    assert clients.failures == []
    assert set(clients.answers) == {("GET", 200), ("POST", 201)}
    # Each was carried out, and none of them twice.
    assert own_echo.entries() == Counter(clients.entered)
    # The one that came back serves again.
    assert all(one.metric("gateway_requests_total") > 0 for one in gateways)
