"""The runner of `make demo`: the three sample apps with the gateway before them.

It needs nothing but the standard library. `--check` runs the printed lines and ends; without it
the demo stays until Ctrl-C. Either way, whatever was started is stopped.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from examples.apps import APPS, STATE, Example, Server, connect, status_of
from examples.processes import DemoError, Process, Processes
from examples.walkthrough import PUBLIC, WALKTHROUGHS, run

ROOT = Path(__file__).resolve().parent.parent
ADMIN = "http://127.0.0.1:9090"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Progress:
    """Prints one line a step, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, name: str, step: str) -> None:
        print(f"[{time.monotonic() - self._start:5.1f} s] {name:<10} {step}")


def refuse_taken_addresses(tcp: Sequence[str], sockets: Sequence[Path]) -> None:
    """Raise DemoError, naming all of them, where somebody listens already."""
    taken = [address for address in tcp if not _is_free(address)]
    taken += [str(path) for path in sockets if _has_listener(path)]
    if taken:
        raise DemoError(f"already in use: {', '.join(taken)}; stop what listens there first")


def _is_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        # A connection that was just closed does not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
        return True


def _has_listener(path: Path) -> bool:
    try:
        connect(f"unix:{path}").close()
    except OSError:
        return False
    return True


def prepare(examples: Sequence[Example], *, processes: Processes, state: Path) -> None:
    """Make the state directory and prepare the apps side by side."""
    state.mkdir(exist_ok=True)
    (state / ".gitignore").write_text("*\n")
    with ThreadPoolExecutor(len(examples)) as pool:
        try:
            for done in as_completed([pool.submit(example.prepare) for example in examples]):
                done.result()
        except DemoError:
            processes.stop()  # else the pool would wait for what the others install
            raise


def start_gateway(processes: Processes, state: Path) -> Process:
    """Start the gateway on the repository's config.yaml and wait until it is ready."""
    gateway = processes.start(
        "gateway",
        [sys.executable, "-m", "gateway", "run", "--config", "config.yaml"],
        log=state / "gateway.log",
        cwd=ROOT,
    )
    gateway.wait_for(lambda: status_of(ADMIN, "/readyz") == 200 or None)
    return gateway


def print_table(servers: Sequence[Server], gateway: Process) -> None:
    rows = [(s.app.name, s.process.pid, _short(s.address), s.app.about) for s in servers]
    rows.append(("gateway", gateway.pid, PUBLIC, f"config.yaml; admin on {ADMIN}"))
    print("\nRunning:")
    for name, pid, address, about in rows:
        print(f"  {name:<10} pid {pid:<8} {address:<36} {about}")
    print(f"\nIn a browser: {PUBLIC}/admin/ (user1, #beta123),")
    print("  http://accounts.localhost:8080/admin/ and http://employees.localhost:8080/admin/")
    print(f"Logs: {_short(str(STATE))}/gateway.log and {_short(str(STATE))}/*/gunicorn.log")


def print_lines() -> None:
    print("\nTo copy, app by app, into one shell:")
    for name, lines in WALKTHROUGHS.items():
        print(f"\n{name}")
        for line in lines:
            print(f"  # {line.name}{f' ({line.note})' if line.note else ''}\n  {line.command}")


def check(processes: Processes, state: Path) -> bool:
    """Run all printed lines, show each with its answer, and tell whether all were as expected."""
    failures = 0
    if shutil.which("curl") is None:
        print("\ncurl was not found; examples/curl.py asks in its place")
    for name, lines in WALKTHROUGHS.items():
        for answer in run(lines, processes=processes, log=state / "check.log"):
            line = answer.line
            print(f"\n{name}: {line.name}\n$ {line.command}")
            if answer.text:
                print(answer.text)
            if not answer.is_expected:
                failures += 1
                print(f"FAILED: expected {line.status}, got {answer.status}")
            elif line.status is not None:
                print(f"ok: {line.note or line.status}")
    total = sum(len(lines) for lines in WALKTHROUGHS.values())
    print(f"\n{total - failures} of {total} lines answered as expected")
    return not failures


def _short(address: str) -> str:
    return address.replace(f"{ROOT}/", "")


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Collect the signals that ask for an end, so that none interrupts a start or the stopping."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)

    before = {number: signal.signal(number, note) for number in _STOP_SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def present(processes: Processes, *, state: Path, is_check: bool) -> bool:
    """Start everything and print what there is to see; False when a checked line failed."""
    progress = Progress()
    examples = [
        Example(app.name, processes=processes, state=state, progress=progress) for app in APPS
    ]
    prepare(examples, processes=processes, state=state)
    servers = []
    for example in examples:
        progress(example.app.name, "starts under Gunicorn")
        servers.append(example.start())
    progress("gateway", "starts")
    gateway = start_gateway(processes, state)
    progress("all", "ready")
    print_table(servers, gateway)
    if is_check:
        return check(processes, state)
    print_lines()
    print("\nCtrl-C stops everything.")
    return True


def demo(*, is_check: bool, state: Path = STATE) -> int:
    """Run the demo; gives the exit code, raises DemoError for what the user must be told."""
    refuse_taken_addresses(
        tcp=[a.bind for a in APPS if not a.is_on_socket] + [PUBLIC[7:], ADMIN[7:]],
        sockets=[state / a.name / a.bind.removeprefix("unix:") for a in APPS if a.is_on_socket],
    )
    # The work is done in a thread, the signals come to this one; leaving stops the processes
    # first, and with them whatever the thread still waits for.
    with noted_signals() as signals, ThreadPoolExecutor(1) as pool, Processes() as processes:
        work = pool.submit(present, processes, state=state, is_check=is_check)
        while not (signals or work.done()):
            time.sleep(0.1)
        while not (signals or is_check or work.exception()):
            if ended := processes.first_ended():
                raise ended.failure("ended by itself")
            time.sleep(0.1)
        print("\nStopping …")
    if signals:
        return 1 if is_check else 0
    return 0 if work.result() else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="run the printed lines, show the answers, and end"
    )
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # also when a file or a pipe is watched
    try:
        return demo(is_check=options.check)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
