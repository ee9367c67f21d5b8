"""Several processes write their access logs to one pipe, and no line is torn."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITERS, BATCHES = 4, 60

# Lines of different lengths, each whole only if all between its marks is one letter.
WRITER = """
import sys
from gateway.telemetry.access_log import to_shared_stdout
letter = sys.argv[1]
for number in range({batches}):
    to_shared_stdout("".join(f"<{{letter * (100 + 37 * line % 500)}}>\\n" for line in range(64)))
"""


def test_no_line_is_torn() -> None:
    code = WRITER.format(batches=BATCHES)
    letters = "abcdefgh"[:WRITERS]
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
        writers = [
            subprocess.Popen([sys.executable, "-c", code, letter], stdout=pipe.stdin, cwd=ROOT)
            for letter in letters
        ]
        assert pipe.stdin is not None
        assert pipe.stdout is not None
        pipe.stdin.close()
        lines = pipe.stdout.read().decode().splitlines()
        assert [writer.wait() for writer in writers] == [0] * WRITERS
    whole = {f"<{letter * (100 + 37 * line % 500)}>" for letter in letters for line in range(64)}
    assert len(lines) == WRITERS * BATCHES * 64
    assert [line for line in lines if line not in whole] == []
