"""The project of this directory under a real Gunicorn, and what `gateway doctor` says of it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from examples.apps import status_of
from examples.processes import Process, Processes
from tests.integration.servers import ROOT

SECRET = "the-doctors-own-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"

Found = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Site:
    """A running project."""

    process: Process
    address: str

    def config(self, **upstream: Any) -> dict[str, Any]:
        """A configuration with this project behind an API that asks for a token."""
        return {
            "issuers": {"site": {"signing_key": SECRET}},
            "upstreams": {
                "site": {"servers": [self.address], "timeouts": {"idle": "250ms"}, **upstream}
            },
            "routes": [
                {"path": "/admin/", "auth": "none", "upstream": "site"},
                {"path": "/api/me/", "issuers": ["site"], "upstream": "site"},
            ],
        }


def start_site(
    python: Path,
    *,
    directory: Path,
    children: Processes,
    settings: Mapping[str, Any] | None = None,
    believes: str = "",
    arguments: Sequence[str] = (),
    bind: str = "127.0.0.1:0",
    threads: int = 4,
) -> Site:
    """The project with these settings, under one worker of Gunicorn with these arguments."""
    own = {"DOCTOR_SECRET": SECRET, "DOCTOR_BELIEVES": believes}
    worker = ("--threads", str(threads)) if threads > 1 else ()
    process = children.start(
        "site",
        [
            python, "-B", "-m", "gunicorn", "--bind", bind, "--no-control-socket", *worker,
            *arguments, "project",
        ],
        log=directory / "site.log",
        cwd=Path(__file__).parent,
        env={**os.environ, **own, "DOCTOR_SETTINGS": json.dumps(settings or {})},
    )  # fmt: skip
    found = process.wait_for(
        lambda: re.search(r"Listening at: (http://\S+|unix:\S+)", process.output())
    )
    address = found[1].replace("0.0.0.0", "127.0.0.1")
    process.wait_for(lambda: status_of(address))
    return Site(process, address)


def doctor(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`gateway doctor` with this configuration file, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", "doctor", "--config", file, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def written(config: Mapping[str, Any], directory: Path) -> Path:
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return file


def findings(file: Path, *arguments: str) -> Found:
    """What it finds by the name of the check; of several, the worst."""
    done = doctor(file, "--json", *arguments)
    assert done.stderr == ""
    assert SECRET not in done.stdout
    told = json.loads(done.stdout)
    assert all(set(one) == {"check", "severity", "subject", "evidence", "remedy"} for one in told)
    assert done.returncode == any(one["severity"] == "error" for one in told)
    order = ["ok", "info", "warning", "error"]
    return {one["check"]: one for one in sorted(told, key=lambda one: order.index(one["severity"]))}
