"""The account of a peer's process has all that work for it."""

import os
import sys
from pathlib import Path

from bench.processes import PinnedProcess

# A grandchild in a session of its own, as a supervisor's worker may be.
FAMILY = """
import os, signal, subprocess, sys
depth = int(sys.argv[1])
if depth:
    subprocess.run([sys.executable, "-c", sys.argv[2], str(depth - 1), sys.argv[2]],
                   start_new_session=True)
else:
    print(os.getpid(), flush=True)
    signal.pause()
"""


def test_a_grandchild_in_a_session_of_its_own_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "family.log"
    family = PinnedProcess(
        "family",
        [sys.executable, "-c", FAMILY, "2", FAMILY],
        core=min(os.sched_getaffinity(0)),
        log=log,
        environment={},
        directory=tmp_path,
    )
    with family:
        while not log.read_text():
            family.require_alive()
        youngest = int(log.read_text())
        members = family.members()
        assert youngest in members
        assert len(members) == 3
        os.kill(youngest, 9)  # it would outlive the session of its grandparent
