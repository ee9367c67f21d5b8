"""The smallest run, with real peers: it ends well, and reports what it measured."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.install import REQUIRED

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def tools() -> None:
    missing = [tool for tool in REQUIRED if shutil.which(tool) is None]
    if missing or len(os.sched_getaffinity(0)) < 2:
        pytest.skip(f"a run needs two cores and {', '.join(missing) or 'has its programs'}")


@pytest.mark.usefixtures("tools")
def test_the_smallest_run_measures_both_lanes_beside_nginx(tmp_path: Path) -> None:
    written = tmp_path / "figures" / "run.md"
    small = ("--load", "one-token,posts", "--rounds", "1", "--seconds", "1")
    done = bench("--only", "nginx,gateway,asgi", *small, "--output", str(written))
    assert done.returncode == 0, done.stdout + done.stderr
    text = written.read_text()
    assert "## One token, 64 connections" in text
    assert "## 4 KB posted" in text
    assert "## 10,000 tokens" not in text
    assert "Absent" not in text
    for peer in ("nginx proxy_pass, no auth", "gateway", "gateway, ASGI lane under plain uvicorn"):
        assert text.count(f"\n| {peer} |") == 5  # two tables a load, and how far to trust it
    assert written.with_suffix(".svg").exists()


def test_a_peer_that_nobody_knows_is_refused() -> None:
    done = bench("--only", "nginx,apache")
    assert done.returncode == 2
    assert "no 'apache'" in done.stderr
