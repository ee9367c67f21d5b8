"""A gateway on a unix socket as an operator has it: stopped under load, killed, started twice."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from examples.apps import connect
from tests.conftest import Figure
from tests.integration.exchange import ask, head, receive
from tests.integration.load import Load
from tests.integration.servers import ROOT, RunningEcho, RunningGateway

CONNECTIONS = 200

Run = Callable[[dict[str, Any]], RunningGateway]


def config(echo: str, path: Path, **server: Any) -> dict[str, Any]:
    return {
        "server": {"host": f"unix:{path}", **server},
        "logging": {"access_log": False},
        "upstreams": {"echo": {"servers": [echo]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sock"


def is_there(path: Path) -> bool:
    return path.exists()


def command(gateway: RunningGateway, name: str, **environ: str) -> tuple[int, str]:
    """What a command of the gateway's says of this one's file."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", name, "--config", gateway.file],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_under_load_loses_nothing(
    echo: str, run_gateway: Run, path: Path, workers: int, figure: Figure
) -> None:
    gateway = run_gateway(config(echo, path, workers=workers))
    async with Load(gateway.address).running(kept=16, anew=8) as load:
        await load.until_answered(500)
        gateway.process.terminate()
        await asyncio.to_thread(gateway.process.finish)  # raises unless the exit code is 0
    figure(f"SIGTERM with {workers} worker(s) on a unix socket: {load.answered} answered")
    assert (load.lost, load.raced, set(load.statuses)) == ([], 0, {200})
    assert not is_there(path)


def test_connections_that_come_at_once_are_spread(
    echo: str, run_gateway: Run, path: Path, figure: Figure
) -> None:
    gateway = run_gateway(config(echo, path, workers=4))
    workers = gateway.workers()
    before = [open_files(pid) for pid in workers]
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(connect(gateway.address))
        gateway.process.wait_for(
            lambda: sum(map(open_files, workers)) - sum(before) >= CONNECTIONS or None
        )
        shares = [open_files(pid) - held for pid, held in zip(workers, before, strict=True)]
    figure(f"{CONNECTIONS} connections to 4 workers on a unix socket: {sorted(shares)}")
    assert max(shares) < 0.65 * CONNECTIONS  # who woke first had 0.68 to 0.98 of them


def test_it_is_found_no_more_while_the_last_requests_are_finished(
    own_echo: RunningEcho, run_gateway: Run, path: Path
) -> None:
    gateway = run_gateway(config(own_echo.address, path, workers=2))
    with connect(gateway.address) as held:
        held.sendall(head("GET", "/hold/"))
        own_echo.wait_until_held(1)
        gateway.process.terminate()
        gateway.process.wait_for(lambda: not path.exists() or None)
        follower = run_gateway(config(own_echo.address, path))  # the place is free for it
        own_echo.release()
        assert receive(held).status == 200
    gateway.process.finish()
    assert ask(follower.address, "GET", "/").status == 200


def test_after_a_kill_the_next_one_replaces_what_was_left(
    echo: str, run_gateway: Run, path: Path
) -> None:
    killed = run_gateway(config(echo, path))
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait_for(lambda: killed.process.has_ended or None)
    assert path.exists()
    gateway = run_gateway(config(echo, path))
    assert ask(gateway.address, "GET", "/").status == 200


def test_a_killed_worker_is_followed_by_another(echo: str, run_gateway: Run, path: Path) -> None:
    gateway = run_gateway(config(echo, path, workers=2))
    killed = gateway.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert ask(gateway.address, "GET", "/").status == 200  # it has waited for a follower
    assert path.exists()


def test_a_second_gateway_does_not_take_it_away(echo: str, run_gateway: Run, path: Path) -> None:
    gateway = run_gateway(config(echo, path))
    code, said = command(gateway, "run", GATEWAY_CONTROL_SOCKET=str(path.with_name("second")))
    assert code == 1
    assert f"another process listens there (unix:{path})" in said
    assert ask(gateway.address, "GET", "/").status == 200


def test_another_place_or_mode_needs_a_restart(echo: str, run_gateway: Run, path: Path) -> None:
    gateway = run_gateway(config(echo, path))
    gateway.rewrite(config(echo, path.with_name("other.sock"), socket_mode="0600"))
    code, said = gateway.reload()
    assert code == 2
    assert "server.host: needs a restart" in said
    assert "server.socket_mode: needs a restart" in said
    assert ask(gateway.address, "GET", "/").status == 200
    gateway.rewrite(config(echo, path, keep_alive="5s"))
    assert gateway.reload() == (0, "reloaded\nserver.keep_alive: 75 -> 5\n")


def test_its_health_is_asked_on_the_admin_listener(echo: str, run_gateway: Run, path: Path) -> None:
    gateway = run_gateway(config(echo, path))
    port = gateway.admin.rpartition(":")[2]
    assert command(gateway, "healthcheck", GATEWAY_ADMIN__PORT=port) == (0, "ready\n")
    assert command(gateway, "check") == (0, "ok\n")
