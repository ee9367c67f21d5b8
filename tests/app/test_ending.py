"""A gateway's process ends when its work is done, whatever thread still waits for something."""

import os
import subprocess
import sys
from pathlib import Path

# As a look-up that no name server answers: a thread that ends in its own time alone.
_WAITS_FOR_EVER = """
import asyncio, sys, threading
from gateway.app.ending import run_and_end

async def main() -> int:
    has_begun = threading.Event()
    def wait() -> None:
        has_begun.set()
        open(sys.argv[1]).read()
    asyncio.get_running_loop().run_in_executor(None, wait)
    await asyncio.to_thread(has_begun.wait)
    print("all is done", flush=False)
    return 3

run_and_end(main())
"""


def test_a_process_ends_with_its_code_and_its_last_words(tmp_path: Path) -> None:
    never_written = tmp_path / "never-written"
    os.mkfifo(never_written)
    done = subprocess.run(
        [sys.executable, "-c", _WAITS_FOR_EVER, never_written],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "all is done\n", "")


def test_what_went_wrong_is_raised_as_ever() -> None:
    script = (
        "from gateway.app.ending import run_and_end\nasync def main(): 1 / 0\nrun_and_end(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
