"""A gateway's process ends when its work is done, whatever thread still waits for something."""

import os
import subprocess
import sys
from pathlib import Path

# As a look-up that no name server answers: a thread that ends in its own time alone.
_WAITS_FOR_EVER = """
import asyncio, sys, threading
from gateway.app.ending import end_process, loop_runner

async def main() -> int:
    has_begun = threading.Event()
    def wait() -> None:
        has_begun.set()
        open(sys.argv[1]).read()
    asyncio.get_running_loop().run_in_executor(None, wait)
    await asyncio.to_thread(has_begun.wait)
    print("all is done", flush=False)
    return 3

with loop_runner() as runner:
    end_process(runner.run(main()))
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
