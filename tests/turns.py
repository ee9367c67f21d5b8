"""Turns of the processes of one test run: what measures runs while nothing else does.

Each test holds a lock that all share, one marked `alone` holds it for itself. Before it stands a
second lock, held while waiting for the first: else the others would go on and on.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACE = Path(__file__).parents[1] / "build"


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    if "PYTEST_XDIST_WORKER" not in os.environ:  # there is but one process
        yield
        return
    _PLACE.mkdir(exist_ok=True)
    with (_PLACE / "tests.gate").open("w") as gate, (_PLACE / "tests.lock").open("w") as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
