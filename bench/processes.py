"""Owns the processes of a run: each is pinned to one core, accounted for, and stopped by its id.

CPU time and memory are read from the kernel's own books under /proc.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 5.0
LOG_TAIL_LINES = 15


class BenchError(Exception):
    """The run cannot go on; the message says why and what would help."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds charged so far, in the process's own code and in the kernel on its behalf."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def since(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(self.user - earlier.user, self.system - earlier.system)


class PinnedProcess:
    """A child on one core, leader of its own session, so that its workers are counted with it.

    Several workers may be given further cores, `also`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        log: Path,
        environment: Mapping[str, str],
        directory: Path,
        also: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                pinned(command, core=core, also=also),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                cwd=directory,
                start_new_session=True,
            )

    def __repr__(self) -> str:
        return f"<PinnedProcess {self.name} pid={self.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_alive(self) -> None:
        """Raises BenchError with the end of the log if the process is gone."""
        if self._process.poll() is not None:
            raise BenchError(
                f"{self.name} ended with status {self._process.returncode}:\n{self.log_tail()}"
            )

    def log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(f"  | {line}" for line in lines) or "  | (it said nothing)"

    def empty_log(self) -> None:
        """What was logged is of no further use; a process that appends goes on at the start."""
        for log in self._log.parent.glob(f"{self.name}*.log"):
            os.truncate(log, 0)

    def cpu_seconds(self) -> float:
        """User and system time of the process and all its children, dead ones included."""
        return self.cpu_time().total

    def cpu_time(self) -> CpuTime:
        user = system = 0
        for _, fields in self._members():
            utime, stime, cutime, cstime = map(int, fields[11:15])
            user, system = user + utime + cutime, system + stime + cstime
        return CpuTime(user / TICKS_PER_SECOND, system / TICKS_PER_SECOND)

    def members(self) -> list[int]:
        """The ids of the process and its children."""
        return [pid for pid, _ in self._members()]

    def peak_memory(self) -> int:
        """Bytes: the sum of the members' high-water marks (VmHWM)."""
        total = 0
        for pid, _ in self._members():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) * 1024
        return total

    def reset_peak_memory(self) -> None:
        for pid, _ in self._members():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM to VmRSS

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # a worker that outlived its parent
        self._process.wait()

    def _members(self) -> Iterator[tuple[int, list[str]]]:
        """Each live process of the session, and each descendant in one of its own, with its /proc
        stat fields from the third (state)."""
        fields_of: dict[int, list[str]] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields_of[int(entry.name)] = stat.rpartition(")")[2].split()
        family = {self.pid}
        while True:
            born = {
                pid
                for pid, (_, parent, _, session, *_) in fields_of.items()
                if int(session) == self.pid or int(parent) in family
            }
            if born <= family:
                break
            family |= born
        yield from (
            (pid, fields_of[pid]) for pid in family & fields_of.keys() if fields_of[pid][0] != "Z"
        )


def pinned(command: Sequence[str], *, core: int, also: Sequence[int] = ()) -> list[str]:
    return ["taskset", "--cpu-list", ",".join(map(str, (core, *also))), *command]


def core_busy_seconds(core: int) -> float:
    """Seconds the core has worked since boot, for whomever (proc(5), /proc/stat)."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
    raise BenchError(f"/proc/stat knows no core {core}")
