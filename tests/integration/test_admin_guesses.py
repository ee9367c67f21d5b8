"""Who guesses at the admin token, and who comes under another's name, of a gateway that runs."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from gateway.endpoints.admin.attempts import BURST
from tests.integration.exchange import Answer, ask, head, receive
from tests.integration.servers import RunningApp, RunningGateway
from tests.integration.test_admin_api import BEARER, TOKEN, config, problem

Run = Callable[[dict[str, Any]], RunningGateway]
WRONG = ("Authorization", "Bearer a-guess-at-the-token")


def ask_from(address: str, gateway: RunningGateway, header: tuple[str, str]) -> Answer:
    """One request from another address of this host."""
    host, _, port = gateway.admin.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), 30, source_address=(address, 0)) as peer:
        peer.sendall(head("GET", "/api/status", headers=[header]))
        return receive(peer)


@pytest.mark.parametrize("workers", [1, 2], ids=["alone", "two workers"])
def test_who_guesses_is_slowed_down_and_told_of_and_nobody_else(
    students: RunningApp, run_gateway: Run, workers: int
) -> None:
    base = config(students)
    del base["issuers"], base["routes"][0]["issuers"]
    base["routes"][0]["auth"] = "none"
    gateway = run_gateway({**base, "server": {"workers": workers}})
    guesses = [ask_from("127.0.0.2", gateway, WRONG) for _ in range(BURST + 3)]
    assert [problem(one) for one in guesses] == [(401, "token_invalid")] * BURST + [
        (429, "rate_limited")
    ] * 3
    assert all(1 <= int(one.header("retry-after") or 0) <= 6 for one in guesses[BURST:])
    assert problem(ask_from("127.0.0.2", gateway, BEARER)) == (429, "rate_limited")
    assert ask_from("127.0.0.1", gateway, BEARER).status == 200

    exposed = ask(gateway.admin, "GET", "/metrics").body.decode()
    assert f'gateway_admin_denied_total{{reason="token_invalid"}} {BURST}.0' in exposed
    assert 'gateway_admin_denied_total{reason="rate_limited"} 4.0' in exposed
    assert 'gateway_admin_denied_total{reason="token_missing"} 0.0' in exposed
    logged = gateway.process.output()
    assert "wrong admin tokens from 127.0.0.2: 1" in logged
    assert "wrong admin tokens from 127.0.0.1" not in logged
    assert "a-guess" not in logged
    assert TOKEN not in logged


@pytest.mark.parametrize("path", ["/metrics", "/dashboard", "/api/status", "/livez"])
def test_under_a_name_of_somebody_else_nothing_is_told(
    students: RunningApp, run_gateway: Run, path: str
) -> None:
    gateway = run_gateway(config(students))
    answer = ask(gateway.admin, "GET", path, headers=[BEARER], host="evil.example.org:9090")
    assert problem(answer) == (421, "host_refused")
    assert ask(gateway.admin, "GET", path, headers=[BEARER], host="127.0.0.1").status == 200
    gateway.rewrite(config(students, admin={"token": TOKEN, "allowed_hosts": ["evil.example.org"]}))
    assert gateway.reload()[0] == 0
    answer = ask(gateway.admin, "GET", path, headers=[BEARER], host="evil.example.org:9090")
    assert answer.status == 200
