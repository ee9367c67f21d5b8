"""The house stays clean: short modules that open with what they own, and no traces of a machine."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 275  # lines: about 250, past which a module is split
MADE = {"build", "dist", "node_modules", "__pycache__"}  # beside directories that begin with a dot

# Directories that only one machine has, and hosts that only a package index has.
_TRACES = re.compile(
    r"(?<![\w.])/(?:root|home|work|Users|mnt)/"
    r"|\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|proxy\.golang\.org)\b"
)


def files() -> Iterator[Path]:
    """Everything that somebody wrote."""
    for directory, within, names in os.walk(ROOT):
        within[:] = [
            name
            for name in within
            if name == ".ci" or not (name.startswith(".") or name in MADE or "egg-info" in name)
        ]
        yield from (Path(directory, name) for name in names if not name.startswith("."))


FILES = sorted(files())
MODULES = [path for path in FILES if path.suffix == ".py"]
GATEWAY = [path for path in MODULES if path.is_relative_to(ROOT / "gateway")]
# Django's own layout speaks for itself in the projects of the demo.
EXPLAINED = [
    path
    for path in MODULES
    if path.read_text() and not re.match(r"examples/\w+/", str(path.relative_to(ROOT)))
]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", GATEWAY, ids=name_of)
def test_a_module_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", EXPLAINED, ids=name_of)
def test_a_module_opens_with_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_nothing_names_a_machine_or_a_package_index() -> None:
    found = {
        name_of(path): trace[0]
        for path in FILES
        if (trace := _TRACES.search(path.read_text(errors="replace")))
    }
    assert not found


@pytest.mark.parametrize("parts", [("see ", "root", "notes"), ("in ", "home", "me/.venv")])
def test_a_trace_is_found(parts: tuple[str, ...]) -> None:
    assert _TRACES.search("/".join(parts))


def test_the_files_of_the_house_are_looked_at() -> None:
    names = set(map(name_of, FILES))
    assert {"README.md", ".ci/run", "gateway/proxy.py", "tests/test_house.py"} <= names


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(
    ("required", "summary"),
    [("1", "1 failed, 2 errors in"), ("", "3 skipped in")],
    ids=["all", "some"],
)
def test_a_skip_is_a_failure_where_all_is_required(
    required: str, summary: str, tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "def test_call(): pytest.skip('no nginx')\n"
        "@pytest.mark.skip('no nginx')\n"
        "def test_mark(): pass\n"
    )
    (tmp_path / "test_module.py").write_text(
        "import pytest\npytest.skip('no nginx', allow_module_level=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--continue-on-collection-errors", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "GATEWAY_REQUIRE_ALL": required},
        capture_output=True,
        text=True,
    )
    assert summary in done.stdout
