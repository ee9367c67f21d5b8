"""The seat of one worker: its listening socket, and the process that serves there now.

Rules
- A process that ends is followed by another at once; one that ends soon again, after a pause that
  doubles.
- The socket stays open meanwhile: who connects waits in its queue, and is served by the follower.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from typing import Any

from gateway.app.channel import Channel, ChannelClosed
from gateway.app.inquiry import Told
from gateway.config import Config
from gateway.endpoints.admin.fleet import Question
from gateway.telemetry.summed import SummedMetrics

START = 60.0  # seconds for a worker to serve; a log of many revocations takes some
REPORT = 1.0  # … to tell of itself; one that hangs holds nobody up
LONG_LIFE = 5.0  # … after which an end is no part of a series
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
MARGIN = 2.0  # … beyond the grace, before a worker that does not end is killed

_LOG = logging.getLogger(__name__)


class Seat:
    """One worker's place. `config()` is what is in force when a process begins."""

    def __init__(
        self,
        number: int,
        listener: socket.socket,
        *,
        config: Callable[[], Config],
        metrics: SummedMetrics,
    ) -> None:
        self.number = number
        self._listener = listener
        self._config = config
        self._metrics = metrics
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._serves: Config | None = None
        self._is_ending = False
        self._changing = asyncio.Lock()  # a worker prepares one configuration at a time
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        return self._serves is not None

    async def begin(self) -> str | None:
        """Starts a process; why it can't serve, None once it does."""
        config = self._config()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *_python(),
                "-m",
                "gateway.app.worker_process",
                str(theirs.fileno()),
                str(self._listener.fileno()),
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(), self._listener.fileno()),
                start_new_session=True,  # a terminal's Ctrl-C is the supervisor's business
            )
        self._channel = await Channel.open(ours, answer=_nothing)
        why: str | None = await self._asked("start", config, patience=START)
        if why is None:
            self._serves = config
        return why

    def keep(self) -> None:
        """From now on a process that ends is followed by another."""
        self._keeping = asyncio.create_task(self._keep(), name=f"worker {self.number}")

    async def _keep(self) -> None:
        pause = 0.0
        while True:
            began = time.monotonic()
            code = await self._ended()
            if self._is_ending:
                return
            if code is not None:
                _LOG.error("worker %d ended (%s): another follows", self.number, _told(code))
            if time.monotonic() - began > LONG_LIFE:
                pause = 0.0
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            try:
                why = await self._follow()
            except Exception:  # noqa: BLE001 - logged; the next attempt may find what this one missed
                _LOG.exception("worker %d can't be started", self.number)
                await self._kill()
                continue
            if why is not None:
                _LOG.error("worker %d can't start: %s", self.number, why)
                await self._kill()

    async def _follow(self) -> str | None:
        """Begins anew, with what is in force by then."""
        why = await self.begin()
        while why is None and self._serves is not self._config():  # reloaded meanwhile
            why = await self.commit(self._config())
        return why

    async def prepare(self, config: Config) -> str | None:
        """As `Worker.prepare`; a process that is only starting has nothing to say."""
        if not self.is_serving:
            return None
        async with self._changing:
            why = await self._asked("prepare", config, patience=START)
        if why is None:
            self._serves = config
        return f"worker {self.number}: {why}" if why is not None else None

    async def commit(self, config: Config) -> str | None:
        """As `Worker.commit`, of a configuration that may have been prepared."""
        why = None
        if self.is_serving and self._serves is not config:  # it began meanwhile
            why = await self.prepare(config)
        if self.is_serving and why is None:
            async with self._changing:  # not while another one is being prepared
                why = await self._asked("commit", patience=START)
        return why

    async def abort(self, config: Config) -> None:
        """Goes on with `config`, whatever was prepared."""
        if self.is_serving:
            self._serves = config
            await self._asked("abort", patience=START)

    async def report(self) -> str | None:
        """Takes the worker's metrics; why nothing should be sent to it, None where it should."""
        process = self._process
        if not self.is_serving or process is None:
            return f"worker {self.number} is starting"
        said = await self._asked("report", patience=REPORT)
        if isinstance(said, str):
            return f"worker {self.number}: {said}"
        why, snapshot = said
        if self._process is process:
            self._metrics.take(process.pid, snapshot)
        return f"worker {self.number}: {why}" if why is not None else None

    async def inquire(self, question: Question, *arguments: str, patience: float) -> Told | str:
        """What the worker tells the admin listener, or in words that it does not."""
        if not self.is_serving:
            return f"worker {self.number} is starting"
        said: Told | str = await self._asked("inquire", (question, arguments), patience=patience)
        return f"worker {self.number}: {said}" if isinstance(said, str) else said

    def replace(self) -> None:
        """Asks a process that could not follow a reload to end: another one does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def terminate(self) -> None:
        """Asks the process to finish what it has begun, and to end."""
        self._is_ending = True
        self.replace()

    async def end(self, patience: float) -> None:
        """Returns when the process has ended; one that does not within `patience` is killed."""
        self._is_ending = True
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self.terminate()
        try:
            async with asyncio.timeout(patience + MARGIN):
                await self._ended()
        except TimeoutError:
            _LOG.error("worker %d does not end, and is killed", self.number)
            await self._kill()

    async def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._ended()

    async def _ended(self) -> int | None:
        """The exit code of the process, once it has ended and all that it held is released."""
        process = self._process
        if process is None:
            return None
        code = await process.wait()
        if self._process is process:
            self._process, self._serves = None, None
            self._metrics.retire(process.pid)
            if self._channel is not None:
                channel, self._channel = self._channel, None
                await channel.close()
        return code

    async def _asked(self, verb: str, argument: Any = None, *, patience: float) -> Any:
        """What the worker answers, or in words that it does not."""
        if self._channel is None:
            return "it has ended"
        try:
            return await self._channel.call(verb, argument, patience=patience)
        except ChannelClosed:
            return "it has ended"
        except TimeoutError:
            return f"no answer within {patience:g} s"

    def __repr__(self) -> str:
        return f"<Seat {self.number} serving={self.is_serving}>"


async def _nothing(verb: str, argument: Any) -> None:
    """A worker asks nothing."""


def _python() -> list[str]:
    """The interpreter, which finds the modules that this process has found."""
    directory = ""
    with contextlib.suppress(FileNotFoundError):  # removed by a deployment
        directory = os.getcwd()
    has_directory = not {"", directory}.isdisjoint(sys.path)  # `python -m gateway` looks there
    return [sys.executable] if has_directory else [sys.executable, "-P"]


def _told(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):  # a real-time signal has no name
            return signal.Signals(-code).name
        return f"signal {-code}"
    return f"exit code {code}"
