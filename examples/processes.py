"""Owns every process the demo starts; the rule it keeps: what was started is stopped.

Each process leads a group of its own, so that a Ctrl-C in the terminal reaches the runner alone,
and stopping the process stops whatever it started in turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class DemoError(Exception):
    """What the demo tells its user, in place of a traceback."""


class Process:
    """A child process whose output goes to a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=dict(env) if env is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __repr__(self) -> str:
        return f"<Process {self.name} pid={self.pid} {'ended' if self.has_ended else 'running'}>"

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def output(self) -> str:
        """What this process, not an earlier one with the same log, has written."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def failure(self, what: str) -> DemoError:
        """The error that names this process and shows the end of its log."""
        tail = "".join(f"\n    {line}" for line in self.output().splitlines()[-20:])
        return DemoError(f"{self.name}: {what}; the end of {self.log}:{tail}")

    def finish(self) -> None:
        """Wait for a successful end; raises DemoError on any other."""
        if code := self._popen.wait():
            raise self.failure(f"failed with exit code {code}")

    def wait_for(self, probe: Callable[[], T | None], *, seconds: float = 30) -> T:
        """Poll until the probe gives a value; raises DemoError on an early end or a late answer."""
        deadline = time.monotonic() + seconds
        while (value := probe()) is None:
            if self.has_ended:
                raise self.failure(f"ended with exit code {self._popen.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {seconds:g} s")
            time.sleep(0.05)
        return value

    def terminate(self) -> None:
        """Ask for a graceful end, without waiting for it."""
        self._popen.terminate()

    def wait_or_kill(self, *, grace: float = 10) -> None:
        """Wait at most `grace` seconds for the end, then kill what is left of the group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def stop(self) -> None:
        self.terminate()
        self.wait_or_kill()


class Processes:
    """All that one runner has started, from any thread; leaving the context stops it."""

    def __init__(self) -> None:
        self._started: list[Process] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a process that lives until it is stopped; raises DemoError after `stop`."""
        with self._lock:
            if self._is_closed:
                raise DemoError(f"{name}: not started, the demo is stopping")
            process = Process(name, command, log=log, cwd=cwd, env=env)
            self._started.append(process)
            return process

    def first_ended(self) -> Process | None:
        """A process that has ended by itself, if any."""
        return next((process for process in self._started if process.has_ended), None)

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command to its end and give its output; raises DemoError when it fails."""
        process = self.start(name, command, log=log, cwd=cwd, env=env)
        process.finish()
        with self._lock, contextlib.suppress(ValueError):  # stop() may have been quicker
            self._started.remove(process)
        return process.output()

    def stop(self) -> None:
        """Stop everything still running, and let nothing more be started."""
        with self._lock:
            self._is_closed = True
            started, self._started = self._started, []
        for process in started:
            process.terminate()
        for process in started:
            process.wait_or_kill()
