"""A running gateway takes its file anew, by `gateway reload` and by SIGHUP, and nobody notices."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from examples.apps import connect
from tests.conftest import Figure
from tests.integration.exchange import ask, head, receive
from tests.integration.load import Load
from tests.integration.servers import KeptConnection, RunningEcho, RunningGateway

Run = Callable[[dict[str, Any]], RunningGateway]
KEY = "a-secret-of-sixty-four-characters-which-nobody-must-ever-see-123"


def config(address: str, *, preserve_host: bool = True, **more: Any) -> dict[str, Any]:
    """Whether the app sees the client's Host tells which configuration is in force."""
    upstream = {"servers": [address], "preserve_host": preserve_host}
    return {
        "logging": {"access_log": False},
        "upstreams": {"echo": upstream},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
        **more,
    }


def host_seen(answer: Any) -> str:
    return str(answer.json()["meta"]["HTTP_HOST"])


async def test_no_request_fails_over_ten_reloads_under_load(
    echo: str, run_gateway: Run, figure: Figure
) -> None:
    gateway = run_gateway(config(echo))
    async with Load(gateway.address).running(kept=8, anew=8) as load:
        for number in range(1, 11):
            gateway.rewrite(config(echo, preserve_host=number % 2 == 0))
            code, said = await asyncio.to_thread(gateway.reload)
            assert code == 0, said
            await load.until_answered(1000)
    figure(f"10 reloads: {load.answered} answered, the longest in {load.longest:.3f} s")
    assert (load.lost, load.raced, load.refused) == ([], 0, 0)
    assert set(load.statuses) == {200}
    assert load.answered >= 10_000
    assert gateway.metric("gateway_requests_total") == load.answered


def test_a_kept_connection_is_answered_by_the_new_file(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    client = KeptConnection(gateway.address)
    assert host_seen(client.ask("GET", "/")) == "localhost"

    gateway.rewrite(config(echo, preserve_host=False))
    code, said = gateway.reload()

    assert (code, said) == (0, "reloaded\nupstreams.echo.preserve_host: true -> false\n")
    assert host_seen(client.ask("GET", "/")) == echo.removeprefix("http://")
    client.close()


def test_a_hangup_reloads_too(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    gateway.rewrite(config(echo, preserve_host=False))

    os.kill(gateway.process.pid, signal.SIGHUP)

    gateway.process.wait_for(lambda: "preserve_host: true" in gateway.process.output() or None)
    assert host_seen(ask(gateway.address, "GET", "/")) == echo.removeprefix("http://")


def test_what_is_under_way_is_finished_by_what_it_began_with(
    own_echo: RunningEcho, run_gateway: Run
) -> None:
    gateway = run_gateway(config(own_echo.address))
    with ExitStack() as stack:
        held = [stack.enter_context(connect(gateway.address)) for _ in range(4)]
        for connection, target in zip(held, ["/hold/", "/hold/", "/drip/", "/drip/"], strict=True):
            connection.settimeout(30)
            connection.sendall(head("GET", target))
        uploading = stack.enter_context(connect(gateway.address))
        uploading.sendall(head("POST", "/upload/", headers=[("Content-Length", "8")]) + b"half")
        own_echo.wait_until_held(4)

        gateway.rewrite(config(own_echo.address, preserve_host=False))
        assert gateway.reload()[0] == 0
        after = ask(gateway.address, "GET", "/")
        own_echo.release()
        uploading.sendall(b"done")

        assert host_seen(after) != "localhost"
        answers = [receive(connection) for connection in held]
        assert [answer.status for answer in answers] == [200] * 4
        assert {answer.body for answer in answers[2:]} == {b"first,last"}
        assert receive(uploading, "POST").json()["length"] == 8


def test_what_outlasts_the_grace_is_cut(own_echo: RunningEcho, run_gateway: Run) -> None:
    gateway = run_gateway(config(own_echo.address))
    with connect(gateway.address) as dripping:
        dripping.sendall(head("GET", "/drip/"))
        own_echo.wait_until_held(1)
        gateway.rewrite(config(own_echo.address, server={"graceful_shutdown": "200ms"}))
        assert gateway.reload()[0] == 0
        dripping.settimeout(10)
        received = b""
        while piece := dripping.recv(65536):
            received += piece
    assert b"first," in received
    assert not received.endswith(b"0\r\n\r\n")
    assert "took too long, and were cut" in gateway.process.output()


def test_a_bad_file_changes_nothing_and_is_told_as_check_tells_it(
    echo: str, run_gateway: Run
) -> None:
    gateway = run_gateway(config(echo))
    bad = config(echo, preserve_host=False)
    bad["routes"][0]["upstream"] = "nobody"
    gateway.rewrite(bad)

    code, said = gateway.reload()

    assert code == 2
    assert re.match(rf"{re.escape(str(gateway.file))}:\d+: routes\[0\]\.upstream: ", said)
    assert said.splitlines()[-1] == "refused: the configuration from before stays in force"
    assert host_seen(ask(gateway.address, "GET", "/")) == "localhost"
    assert "routes[0].upstream: " in gateway.process.output()
    gateway.rewrite(config(echo, preserve_host=False))
    assert gateway.reload()[0] == 0


def test_what_was_made_at_the_start_needs_a_restart(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    gateway.rewrite(config(echo, preserve_host=False, server={"host": "127.0.0.2"}))

    code, said = gateway.reload()

    assert code == 2
    assert re.search(r"config\.yaml:\d+: server\.host: needs a restart\n", said)
    assert host_seen(ask(gateway.address, "GET", "/")) == "localhost"


def test_a_store_that_is_not_there_is_refused(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    gateway.rewrite(config(echo, store={"url": "redis://:hidden@127.0.0.1:1/0"}))

    code, said = gateway.reload()

    assert (code, said.splitlines()[0]) == (2, "store: revocations are not loaded yet")
    assert "hidden" not in said + gateway.process.output()
    assert gateway.readiness().status == 200


def test_no_secret_is_told(echo: str, run_gateway: Run) -> None:
    issuer = {"signing_key": KEY, "upstream": "echo"}
    gateway = run_gateway(config(echo, issuers={"students": issuer}))
    gateway.rewrite(config(echo, issuers={"students": {**issuer, "signing_key": KEY[::-1]}}))

    code, said = gateway.reload()

    assert code == 0
    assert "issuers.students.signing_key: changed\n" in said
    for secret in (KEY, KEY[::-1]):
        assert secret not in said + gateway.process.output()


def test_counters_go_on(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    for _ in range(5):
        ask(gateway.address, "GET", "/")
    gateway.rewrite(config(echo, preserve_host=False))
    assert gateway.reload()[0] == 0
    ask(gateway.address, "GET", "/")
    assert gateway.metric("gateway_requests_total") == 6


def test_without_a_gateway_there_is_nobody_to_ask(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(config(echo))
    gateway.process.stop()
    code, said = gateway.reload()
    assert code == 1
    assert said.startswith("no gateway runs with this file")
