"""What the tests run as processes of their own: the sample apps, the echo app, the gateway."""

import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from examples.apps import Example, Server, connect, status_of
from examples.processes import Process, Processes
from tests.integration.exchange import Answer, ask, head, receive

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class RunningApp:
    """A sample app under Gunicorn, with the state it was prepared with."""

    example: Example
    server: Server

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def secret_file(self) -> Path:
        return self.example.state / "secret_key"

    @property
    def database(self) -> Path:
        return self.example.state / "db.sqlite3"


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A gateway process with its two listeners."""

    process: Process
    address: str
    admin: str
    file: Path

    def readiness(self) -> Answer:
        return ask(self.admin, "GET", "/readyz")

    def metric(self, name: str) -> float:
        """What all samples of this name add up to."""
        text = ask(self.admin, "GET", "/metrics").body.decode()
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def rewrite(self, config: Mapping[str, Any]) -> None:
        """Another configuration for the same ports, in force from the next reload on."""
        _write(self.file, config)

    def reload(self) -> tuple[int, str]:
        """`gateway reload`: its exit code, and what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "reload", "--config", self.file],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout

    def workers(self) -> list[int]:
        """The processes that it has started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()]

    def peak_memory(self) -> int:
        """VmHWM in bytes: the most memory it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


@dataclass(frozen=True, slots=True)
class RunningEcho:
    """The echo app, whose `/hold/` and `/drip/` stay in flight until it is told to release them."""

    process: Process
    address: str
    directory: Path

    @property
    def deaths(self) -> Path:
        """The methods of the requests that killed a worker, one a line."""
        return self.directory / "deaths"

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def entries(self) -> Counter[str]:
        """How often each name was entered into the database."""
        with closing(sqlite3.connect(self.directory / "entries.sqlite3")) as database:
            return Counter(name for (name,) in database.execute("SELECT name FROM entries"))

    def worker(self) -> int:
        """The process id of Gunicorn's one worker."""
        master = self.process.pid
        (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return int(worker)

    def wait_until_held(self, number: int) -> None:
        assert ask(self.address, "GET", f"/held/{number}/").json() == {"held": True}

    def release(self) -> None:
        ask(self.address, "GET", "/release/")

    def die(self) -> None:
        """All its processes at once, without a last word."""
        self.process.wait_or_kill(grace=0)


def start_gateway(
    config: Mapping[str, Any], *, directory: Path, children: Processes, port: int = 0
) -> RunningGateway:
    """A gateway with this configuration, on ports of its own; returns once it is ready."""
    file = directory / "config.yaml"
    _write(file, config, port=port)
    return serve_file(file, children=children)


def serve_file(
    file: Path, *, children: Processes, env: Mapping[str, str] | None = None
) -> RunningGateway:
    """A gateway with this very file, in this environment; returns once it is ready."""
    process = children.start(
        "gateway",
        [sys.executable, "-m", "gateway", "run", "--config", file],
        log=file.with_name("gateway.log"),
        cwd=ROOT,
        env=env,
    )
    found = process.wait_for(
        lambda: re.search(
            r"listening on ((?:http|unix):\S+), admin on port (\d+)", process.output()
        )
    )
    gateway = RunningGateway(process, found[1], f"http://127.0.0.1:{found[2]}", file)
    process.wait_for(lambda: status_of(gateway.admin, "/readyz") == 200 or None)
    return gateway


def _write(file: Path, config: Mapping[str, Any], *, port: int = 0) -> None:
    own = {
        "server": {**config.get("server", {}), "port": port},
        "admin": {**config.get("admin", {}), "port": 0},
    }
    file.write_text(yaml.safe_dump({**config, **own}, sort_keys=False))


def start_echo(
    python: Path,
    *,
    directory: Path,
    children: Processes,
    keep_alive: int = 2,
    workers: int = 1,
    threads: int = 16,
    port: int = 0,
) -> RunningEcho:
    """The echo app under Gunicorn, one worker of many threads, in the environment of `python`.

    With one thread it is Gunicorn's sync worker. It takes header names with underscores too:
    nothing but the gateway stands in the way of them.
    """
    process = children.start(
        "echo",
        [
            python, "-B", "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--no-control-socket",
            "--workers", str(workers), "--threads", str(threads),
            "--keep-alive", str(keep_alive), "--header-map", "dangerous", "project",
        ],
        log=directory / "echo.log",
        cwd=ROOT / "tests" / "integration" / "echo",
        env={
            **os.environ,
            "ECHO_DEATHS": str(directory / "deaths"),
            "ECHO_DATABASE": str(directory / "entries.sqlite3"),
        },
    )  # fmt: skip
    found = process.wait_for(lambda: re.search(r"Listening at: (http://\S+)", process.output()))
    process.wait_for(lambda: status_of(found[1]))
    return RunningEcho(process, found[1], directory)


class KeptConnection:
    """A client's connection that stays open for one request after another."""

    def __init__(self, address: str) -> None:
        self._connection = connect(address)
        self._connection.settimeout(30)

    def ask(self, method: str, target: str, *, headers: Any = (), body: bytes = b"") -> Answer:
        fields = [*headers, *([("Content-Length", str(len(body)))] if body else [])]
        self._connection.sendall(head(method, target, headers=fields) + body)
        return receive(self._connection, method)

    def close(self) -> None:
        self._connection.close()
