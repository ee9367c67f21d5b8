"""What the machine lacks is named, with what would help; nothing is guessed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.peers import Absent, program

ROOT = Path(__file__).parents[2]


def test_a_machine_without_apt_is_told_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.install"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "as root: apt-get install curl haproxy nginx nodejs npm" in done.stdout
    assert "can't measure without nginx, wrk, curl, taskset" in done.stderr


def test_a_program_that_is_missing_makes_its_peer_absent() -> None:
    with pytest.raises(Absent, match="envoy-of-nobody is not installed"):
        program("envoy-of-nobody")
