"""Every command in the README does what the README says; its config.yaml is accepted."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

Blocks = dict[str, list[str]]


def blocks_of(page: str) -> Blocks:
    """The fenced blocks of a page by their language."""
    blocks: Blocks = {}
    for language, content in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        blocks.setdefault(language, []).append(content)
    return blocks


BLOCKS = blocks_of(README)
COMMANDS = [line for block in BLOCKS["sh"] for line in block.splitlines()]
MAKE = [line for line in COMMANDS if line.startswith("make ")]
GATEWAY = [line for line in COMMANDS if line.startswith("gateway ") and line != "gateway run"]
TOLD = {  # how what they print ends
    "gateway check": "ok",
    "gateway routes --explain GET http://localhost:8080/api/students/7/": (
        "to upstream students; a token of students is required"
    ),
}
CURL = [line for line in COMMANDS if line.startswith("curl ")]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A newcomer's directory: the README's config.yaml and nothing else."""
    (config,) = BLOCKS["yaml"]
    (tmp_path / "config.yaml").write_text(config)
    return tmp_path


def environment() -> dict[str, str]:
    """The shell of somebody who did as the README says, on any free ports."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return own | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DJANGO_SECRET_KEY": "a-secret-for-this-test-alone-with-its-fifty-characters",
        "GATEWAY_SERVER__PORT": "0",
        "GATEWAY_ADMIN__PORT": "0",
    }


def run(command: str, directory: Path) -> str:
    done = subprocess.run(
        shlex.split(command),
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """`gateway run` in this directory; gives its public address, and ends it as a service would."""
    process = subprocess.Popen(
        ["gateway", "run"],
        cwd=directory,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        executable=shutil.which("gateway", path=environment()["PATH"]),
    )
    assert process.stderr is not None
    guard = Timer(30, process.kill)
    guard.start()
    try:
        said = process.stderr.readline()
        found = re.search(r"listening on (http://\S+:\d+)", said)
        assert found, said
        yield found[1]
    finally:
        process.terminate()
        process.communicate()
        guard.cancel()
    assert process.returncode == 0


def test_no_command_is_left_out() -> None:
    assert sorted(COMMANDS) == sorted([*MAKE, *GATEWAY, "gateway run", *CURL])
    assert {"make demo", "make test", "gateway check"} <= set(COMMANDS)


@pytest.mark.parametrize("command", MAKE)
def test_what_is_made_is_a_target(command: str) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [*shlex.split(command), "--dry-run"],
        cwd=ROOT,
        env={**own, "LC_ALL": "C"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" not in done.stdout


@pytest.mark.parametrize("command", GATEWAY)
def test_a_command_succeeds_on_the_example(command: str, directory: Path) -> None:
    assert run(command, directory).splitlines()[-1].endswith(TOLD[command])


def test_what_is_served_refuses_as_shown(directory: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (command,), (shown,) = CURL, BLOCKS["http"]
    with serving(directory) as address:
        command = command.replace("http://127.0.0.1:8080", address)
        answer = run(f"{command} --no-progress-meter", directory)
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    shown_head, _, shown_body = shown.partition("\n\n")
    assert set(shown_head.splitlines()) <= set(head.splitlines())
    assert body == shown_body.rstrip("\n")
