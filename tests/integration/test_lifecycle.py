"""Starting and stopping the gateway's process with requests in flight, and an upstream's death."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPException
from typing import Any

import pytest

from examples.apps import connect
from tests.integration.exchange import ask, head, receive
from tests.integration.servers import KeptConnection, RunningEcho, RunningGateway

Run = Callable[[dict[str, Any]], RunningGateway]


def _config(address: str, **server: Any) -> dict[str, Any]:
    return {
        "server": server,
        "upstreams": {"echo": {"servers": [address]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


def test_a_graceful_stop_lets_all_requests_in_flight_finish(
    own_echo: RunningEcho, run_gateway: Run
) -> None:
    gateway = run_gateway(_config(own_echo.address))
    with ExitStack() as stack:
        held = []
        for target in ["/hold/"] * 6 + ["/drip/"] * 4:
            connection = stack.enter_context(connect(gateway.address))
            connection.settimeout(30)
            connection.sendall(head("GET", target))
            held.append(connection)
        uploading = stack.enter_context(connect(gateway.address))
        uploading.sendall(head("POST", "/upload/", headers=[("Content-Length", "8")]) + b"half")
        idle = KeptConnection(gateway.address)
        stack.callback(idle.close)
        assert idle.ask("GET", "/").status == 200
        own_echo.wait_until_held(10)

        gateway.process.terminate()
        gateway.process.wait_for(lambda: gateway.readiness().status == 503 or None)
        assert not gateway.process.has_ended

        own_echo.release()
        uploading.sendall(b"done")
        answers = [receive(connection) for connection in held]
        upload = receive(uploading, "POST")
    assert [answer.status for answer in answers] == [200] * 10
    assert {answer.body for answer in answers[:6]} == {b'{"released": true}'}
    assert {answer.body for answer in answers[6:]} == {b"first,last"}
    assert upload.json()["length"] == 8
    gateway.process.finish()  # raises unless the exit code is 0
    log = gateway.process.output()
    assert (log.count('"/hold/"'), log.count('"/drip/"'), log.count('"/upload/"')) == (6, 4, 1)


def test_a_stopping_gateway_takes_no_new_connections(
    own_echo: RunningEcho, run_gateway: Run
) -> None:
    gateway = run_gateway(_config(own_echo.address))
    with connect(gateway.address) as connection:
        connection.sendall(head("GET", "/hold/"))
        own_echo.wait_until_held(1)
        gateway.process.terminate()
        gateway.process.wait_for(lambda: _refuses(gateway.address) or None)
        own_echo.release()
        assert receive(connection).status == 200
    gateway.process.finish()


def _refuses(address: str) -> bool:
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_stops_with_exit_code_0(
    echo: str, run_gateway: Run, number: signal.Signals
) -> None:
    gateway = run_gateway(_config(echo))
    client = KeptConnection(gateway.address)  # an idle connection holds nothing up
    assert client.ask("GET", "/").status == 200
    os.kill(gateway.process.pid, number)
    gateway.process.finish()
    client.close()


def test_what_outlives_the_graceful_stop_is_cut_and_never_ended_cleanly(
    own_echo: RunningEcho, run_gateway: Run
) -> None:
    gateway = run_gateway(_config(own_echo.address, graceful_shutdown="1s"))
    with connect(gateway.address) as held, connect(gateway.address) as dripping:
        held.sendall(head("GET", "/hold/"))
        dripping.sendall(head("GET", "/drip/"))
        own_echo.wait_until_held(2)
        gateway.process.terminate()
        gateway.process.wait_for(lambda: gateway.process.has_ended or None, seconds=5)
        assert not _is_answered_well(held)
        assert not _is_answered_well(dripping)


def _is_answered_well(connection: socket.socket) -> bool:
    try:
        return receive(connection).status < 500
    except (HTTPException, ConnectionError):
        return False


def test_the_death_of_the_upstream_is_never_a_clean_end(
    own_echo: RunningEcho, run_gateway: Run
) -> None:
    gateway = run_gateway(_config(own_echo.address))
    with connect(gateway.address) as dripping, connect(gateway.address) as held:
        dripping.sendall(head("GET", "/drip/"))
        held.sendall(head("GET", "/hold/"))
        own_echo.wait_until_held(2)
        own_echo.die()
        with pytest.raises(HTTPException):
            receive(dripping)
        before_the_head = receive(held)
    after = ask(gateway.address, "GET", "/")
    assert before_the_head.status == 502
    # It was sent once more, if the server went before its last connection did.
    assert before_the_head.json()["code"] in ("upstream_broken", "upstream_refused")
    assert (after.status, after.json()["code"]) == (502, "upstream_refused")
    assert gateway.readiness().status == 200


def test_health_is_told_on_the_admin_listener_alone(echo: str, run_gateway: Run) -> None:
    gateway = run_gateway(_config(echo))
    assert ask(gateway.admin, "GET", "/livez").status == 200
    assert gateway.readiness().json() == {"status": "ready"}
    assert ask(gateway.address, "GET", "/readyz").json()["view"] == "open"  # the app's own path
