"""The test bed: one upstream and the peers before it, started, proved and stopped together."""

import http.client
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import PATH
from bench.peers import HERE, PEERS, Peer, Site, nginx_command, program, rendered
from bench.processes import BenchError, PinnedProcess, free_port

ROOT = HERE.parent.parent
START_SECONDS = 20.0
BODY = ('{"items": ["' + "x" * 1024)[:1021] + '"]}'
PAYLOAD_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Contender:
    """A running peer."""

    peer: Peer
    site: Site
    process: PinnedProcess


@dataclass(frozen=True, slots=True)
class Bed:
    """`absent` are the peers that can't be had here, each with the reason."""

    contenders: tuple[Contender, ...]
    absent: Mapping[str, str]
    upstream_port: int
    payload: Path
    uploads: Path


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the load and the upstream, that of the peer, and the peer's further ones."""

    load: int
    peer: int
    second: int

    @property
    def is_second_shared(self) -> bool:
        """Whether a second worker has to share the core of the load."""
        return self.second == self.load


def two_cores() -> tuple[int, int]:
    """The core of the load and the upstream, and the core of the peer under test."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("the benchmark needs two cores: one for the peer, one for the load")
    return cores[0], cores[-1]


def cores_at_hand() -> Cores:
    load, peer = two_cores()
    return Cores(load, peer, sorted(os.sched_getaffinity(0))[-2])


@contextmanager
def open_bed(
    names: Iterable[str], *, scratch: Path, signing_key: str, cores: Cores, token: str
) -> Iterator[Bed]:
    """Starts everything, waits until it answers and proves it; stops all of it on the way out."""
    site_root = scratch / "site"
    (site_root / "download").mkdir(parents=True)
    uploads = site_root / "upload"
    uploads.mkdir()
    payload = site_root / "download" / "payload"
    payload.write_bytes(os.urandom(1_000_000) * (PAYLOAD_BYTES // 1_000_000))

    def site(upstream_port: int, store: str = "memory://") -> Site:
        return Site(free_port(), free_port(), upstream_port, scratch, signing_key, store)

    with ExitStack() as stack:

        def start(
            name: str, command: list[str], where: Site, core: int, *, also: Sequence[int] = ()
        ) -> PinnedProcess:
            return stack.enter_context(
                PinnedProcess(
                    name,
                    command,
                    core=core,
                    also=also,
                    log=scratch / f"{name}.log",
                    environment=where.environment(),
                    directory=ROOT,
                )
            )

        def contend(peer: Peer) -> Contender:
            store, also = "memory://", list[int]()
            if peer.workers > 1:
                store, also = f"redis://127.0.0.1:{free_port()}/0", [cores.second]
            where = site(behind.port, store)
            command = peer.command(where)
            if peer.workers > 1:
                port = store.rpartition(":")[2].partition("/")[0]
                redis = [program("redis-server"), "--bind", "127.0.0.1", "--port", port]
                redis += ["--save", "", "--dir", str(scratch)]
                start(f"{peer.name}-store", redis, where, cores.load)
            process = start(peer.name, command, where, cores.peer, also=also)
            try:
                if peer.readiness_path:
                    _await_answer(process, where.admin_port, peer.readiness_path)
                _await_answer(process, where.port, "/", any_status=True)
                contender = Contender(peer, where, process)
                prove(contender, token)
            except BenchError:
                process.stop()
                raise
            return contender

        behind = site(0)
        command = nginx_command(rendered(ROOT / "bench" / "upstream.conf", behind, BODY=BODY))
        _await_answer(start("upstream", command, behind, cores.load), behind.port, "/")

        contenders, absent = [], {}
        for name in names:
            try:
                contenders.append(contend(PEERS[name]))
            except BenchError as error:
                if name == "gateway":
                    raise
                absent[name] = str(error)
        yield Bed(tuple(contenders), absent, behind.port, payload, uploads)


def prove(contender: Contender, token: str) -> None:
    """Raises BenchError unless the peer does the work that it is going to be timed at."""
    peer, port = contender.peer, contender.site.port
    tampered = token[:-8] + ("A" if token[-8] != "A" else "B") + token[-7:]
    expected: dict[str, tuple[str | None, int]] = {"a good token": (token, 200)}
    if peer.checks_tokens:
        expected |= {"no token": (None, 401), "a tampered token": (tampered, 401)}
    for what, (sent, status) in expected.items():
        got, body = _get(port, PATH, token=sent)
        if got != status:
            raise BenchError(f"{peer.name} answered {got}, not {status}, to {what}: {body[:200]!r}")
        if status == 200 and body != BODY.encode():
            raise BenchError(f"{peer.name} changed the body: {body[:200]!r}")


def _await_answer(
    process: PinnedProcess, port: int, path: str, *, any_status: bool = False
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        process.require_alive()
        try:
            status, _ = _get(port, path)
        except (OSError, http.client.HTTPException):
            pass
        else:
            if any_status or status == 200:
                return
        time.sleep(0.05)
    raise BenchError(
        f"{process.name} was not ready after {START_SECONDS:.0f} s:\n{process.log_tail()}"
    )


def _get(port: int, path: str, *, token: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
