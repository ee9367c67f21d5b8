"""Runs the probe in a Django project's own Python, and turns what stops it into a sentence."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PROBE = Path(__file__).with_name("probe.py")
_PATIENCE = 120.0  # seconds for the project to load


class InitError(Exception):
    """Why no configuration can be written, as a sentence for whoever asked for one."""


def ask_project(
    module: str, *, directory: Path, python: Path | None, environ: Mapping[str, str]
) -> dict[str, Any]:
    """What the project says of itself; raises InitError."""
    if not directory.is_dir():
        raise InitError(f"{directory}: no such directory")
    tried = [python] if python is not None else list(_pythons(directory, environ))
    for candidate in tried:
        facts = _probed(candidate, module, directory, environ)
        error = facts.get("error")
        if error is None:
            return facts
        if error["kind"] != "no_django":
            raise InitError(_sentence(error, module, directory))
    names = ", ".join(map(str, tried))
    raise InitError(f"Django is not installed for {names}; name the project's with --python PATH")


def _pythons(directory: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where the project's packages may be; the gateway's own Python comes last."""
    active = environ.get("VIRTUAL_ENV")
    homes = [*([Path(active)] if active else []), directory / ".venv", directory / "venv"]
    for home in homes:
        python = home / "bin" / "python"
        if python.exists():
            yield python
    yield Path(sys.executable)


def _probed(
    python: Path, module: str, directory: Path, environ: Mapping[str, str]
) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - the operator names the Python and the project
            [_absolute(python), "-B", _PROBE, module],
            cwd=directory,
            env={**environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a project's own words may quote its secrets
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise InitError(f"can't run {python}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise InitError(f"{module} did not load within {_PATIENCE:g} s") from None
    try:
        facts = json.loads(done.stdout)
    except ValueError:
        raise InitError(
            f"{python} ended with exit code {done.returncode} while it loaded {module}; "
            "it must be Python 3.8 or later"
        ) from None
    return dict(facts)


def _absolute(python: Path) -> str:
    """A path that holds in another directory; its links stay, for they name the environment."""
    return os.path.abspath(python)


def _sentence(error: Mapping[str, Any], module: str, directory: Path) -> str:
    place = f"{error['file']}:{error['line']}" if error.get("file") else module
    match error["kind"]:
        case "no_module":
            return f"there is no module {error['name']} in {directory}; name its directory: --path"
        case "no_import":
            return (
                f"{module} needs the package {error['name']}, which this Python lacks; "
                "name the project's own with --python PATH"
            )
        case "no_variable":
            return f"{place}: the environment variable {error['name']} is not set"
    return f"{place}: {error['type']} (its message is not shown: it may quote a secret)"
