"""The command `gateway doctor`: exit codes, options, and who sees the progress."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main

FILE = """\
upstreams:
  app: {servers: ["http://127.0.0.1:1"]}
routes:
  - {path: /, auth: none, upstream: app}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def test_an_error_is_exit_code_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--config", str(file)]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("error    upstream_reachable  upstreams.app.servers[0]: ")
    assert told.err == ""


def test_a_bad_file_is_exit_code_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FILE.replace("upstream: app", "upstream: none"))
    assert main(["doctor", "--config", str(file)]) == 2
    assert "config.yaml:4: routes[0].upstream: " in capsys.readouterr().err


def test_a_path_that_is_none_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--config", str(file), "--path", "api/me"]) == 2
    assert "--path" in capsys.readouterr().err


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--help"]) == 0
    told = capsys.readouterr().out
    assert "Exit codes: 0 without findings of severity error, 1 with some, 2 for a bad" in told
    assert "gateway doctor --path /api/me/" in told


def test_a_terminal_sees_the_progress(file: Path) -> None:
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "doctor", "--config", file, "--json"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=30,
        )
        told = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout.startswith(b"[")
    assert set(told.split("\r\n")) == {"examined store", "examined upstreams.app.servers[0]", ""}
