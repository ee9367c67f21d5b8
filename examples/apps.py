"""Owns what each sample app needs to run: its environment, secrets, database and Gunicorn.

Everything made here lies in a state directory outside the sources; making it twice costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.processes import Process, Processes

EXAMPLES = Path(__file__).resolve().parent
STATE = EXAMPLES.parent / ".demo"


@dataclass(frozen=True, slots=True)
class App:
    """One sample app, and how Gunicorn serves it in the demo."""

    name: str
    bind: str  # as Gunicorn writes it; `unix:NAME` is a socket in the app's state directory
    gunicorn: tuple[str, ...]
    about: str
    signs_with_key_pair: bool = False

    @property
    def is_on_socket(self) -> bool:
        return self.bind.startswith("unix:")


APPS = (
    App(
        "students",
        bind="127.0.0.1:8001",
        gunicorn=("--workers", "1", "--threads", "4"),
        about="Django 5.2, simplejwt 5.5, HS256; 1 worker of 4 threads",
    ),
    App(
        "accounts",
        bind="unix:gunicorn.sock",
        gunicorn=("--workers", "1"),
        about="Django 5.2, simplejwt 5.5, RS256; 1 worker",
        signs_with_key_pair=True,
    ),
    App(
        "employees",
        bind="127.0.0.1:8003",
        gunicorn=("--workers", "3"),
        about="Django 3.2, djangorestframework-jwt 1.11, HS256; 3 workers",
    ),
)


def connect(address: str) -> socket.socket:
    """A connection to `http://host:port` or `unix:PATH`; raises OSError where nobody listens."""
    if not address.startswith("unix:"):
        host, _, port = address.removeprefix("http://").rpartition(":")
        return socket.create_connection((host, int(port)), timeout=5)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(5)
        # Relative, since a socket's path may have no more than 107 bytes.
        connection.connect(os.path.relpath(address.removeprefix("unix:")))
    except OSError:
        connection.close()
        raise
    return connection


def status_of(address: str, path: str = "/") -> int | None:
    """The status that an HTTP GET answers with, or None while nobody answers."""
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = connect(address)
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class Server:
    """A running Gunicorn; `address` is `http://host:port` or `unix:PATH`."""

    def __init__(self, app: App, process: Process, address: str) -> None:
        self.app = app
        self.process = process
        self.address = address

    def __repr__(self) -> str:
        return f"<Server {self.app.name} at {self.address}>"

    def stop(self) -> None:
        self.process.stop()


@contextmanager
def made_by_one(place: Path) -> Iterator[None]:
    """Waits while another process makes the same thing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Example:
    """One sample app on this machine: prepared once, started as often as wanted.

    `state` holds its secrets, database and log; `environments` its virtual environment, which
    several states may share.
    """

    def __init__(
        self,
        name: str,
        *,
        processes: Processes,
        state: Path = STATE,
        environments: Path = STATE / "environments",
        progress: Callable[[str, str], None] = lambda name, step: None,
    ) -> None:
        self.app = next(app for app in APPS if app.name == name)
        self.sources = EXAMPLES / name
        self.state = state / name
        self.environment = environments / name
        self.python = self.environment / "bin" / "python"
        self._processes = processes
        self._progress = progress

    def prepare(self) -> None:
        """Make whatever is missing; raises DemoError with the log's end when a step fails."""
        self.state.mkdir(parents=True, exist_ok=True)
        self._install()
        self._make_secrets()
        self._migrate()

    def start(self, bind: str | None = None) -> Server:
        """Serve with Gunicorn until stopped; returns once it answers.

        `bind` is as in `App.bind`, `127.0.0.1:0` for any free port; default: the app's own.
        """
        bind = bind or self.app.bind
        if bind.startswith("unix:"):
            # Relative, since a socket's path may have no more than 107 bytes.
            path = os.path.relpath(self.state / bind.removeprefix("unix:"), self.sources)
            bind = f"unix:{path}"
        arguments = ("--bind", bind, "--no-control-socket", *self.app.gunicorn)
        process = self._processes.start(
            self.app.name,
            [self.python, "-m", "gunicorn", *arguments, "project.wsgi"],
            log=self.state / "gunicorn.log",
            cwd=self.sources,
            env=self._settings(),
        )
        address = process.wait_for(lambda: self._listening(process))
        process.wait_for(lambda: status_of(address))
        return Server(self.app, process, address)

    def _listening(self, process: Process) -> str | None:
        """Where Gunicorn says that it listens: the only place that knows a port it chose."""
        found = re.search(r"Listening at: (http://\S+|unix:\S+)", process.output())
        if found is None:
            return None
        address = found[1]
        if address.startswith("unix:"):
            return f"unix:{(self.sources / address.removeprefix('unix:')).resolve()}"
        return address

    def _install(self) -> None:
        requirements = self.sources / "requirements.txt"
        stamp = self.environment / "installed"
        wanted = _digest(sys.version, requirements)
        with made_by_one(self.environment):
            if self.python.exists() and _is_stamped(stamp, wanted):
                return
            self._step("creates its environment", sys.executable, "-m", "venv", "--clear",
                       self.environment)  # fmt: skip
            self._step("installs its requirements", self.python, "-m", "pip", "install",
                       "--no-input", "--disable-pip-version-check", "--requirement",
                       requirements)  # fmt: skip
            stamp.write_text(wanted)

    def _make_secrets(self) -> None:
        secret_key = self.state / "secret_key"
        if not (secret_key.exists() and secret_key.read_text()):
            secret_key.touch(mode=0o600)
            secret_key.write_text(secrets.token_urlsafe(50))
        private, public = self.state / "private.pem", self.state / "public.pem"
        if self.app.signs_with_key_pair and not (private.exists() and public.exists()):
            self._step("makes its key pair", self.python, "make_keys.py", private, public)

    def _migrate(self) -> None:
        stamp = self.state / "migrated"
        migrations = sorted(self.sources.glob("*/migrations/*.py"))
        wanted = _digest("", self.sources / "requirements.txt", *migrations)
        if (self.state / "db.sqlite3").exists() and _is_stamped(stamp, wanted):
            return
        self._step("migrates its database", self.python, "manage.py", "migrate")
        stamp.write_text(wanted)

    def _step(self, what: str, *command: str | Path) -> None:
        self._progress(self.app.name, what)
        self._processes.run(
            self.app.name,
            command,
            log=self.state / "setup.log",
            cwd=self.sources,
            env=self._settings(),
        )

    def _settings(self) -> dict[str, str]:
        """The environment of the app's own processes: nothing of the caller's Python or Django."""
        foreign = ("PYTHON", "DJANGO_", "GUNICORN_", "WEB_CONCURRENCY")
        settings = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        secret_key = self.state / "secret_key"
        return settings | {
            "DJANGO_SECRET_KEY": secret_key.read_text() if secret_key.exists() else "",
            "DJANGO_DATABASE": str(self.state / "db.sqlite3"),
            "JWT_PRIVATE_KEY_FILE": str(self.state / "private.pem"),
            "JWT_PUBLIC_KEY_FILE": str(self.state / "public.pem"),
            "PYTHONDONTWRITEBYTECODE": "1",  # the sources stay as they were checked out
        }


def _digest(salt: str, *files: Path) -> str:
    return hashlib.sha256(salt.encode() + b"".join(file.read_bytes() for file in files)).hexdigest()


def _is_stamped(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted
