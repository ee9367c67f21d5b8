"""Where a Python peer spends its time under load: py-spy's samples, summed up by function."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.processes import BenchError

SAMPLES_PER_SECOND = 400
GRACE_SECONDS = 30


def start_profile(pid: int, *, seconds: int, folded: Path) -> subprocess.Popen[str]:
    """Samples the process and its children for so many seconds; stacks go to `folded`."""
    beside = Path(sys.executable).with_name("py-spy")
    py_spy = str(beside) if beside.exists() else shutil.which("py-spy")
    if py_spy is None:
        raise BenchError("--profile needs py-spy: pip install py-spy")
    command = [py_spy, "record", "--pid", str(pid), "--subprocesses", "--format", "raw"]
    command += ["--duration", str(seconds), "--rate", str(SAMPLES_PER_SECOND)]
    command += ["--nonblocking", "--output", str(folded)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def top_functions(recorder: subprocess.Popen[str], folded: Path, *, count: int = 30) -> str:
    """Waits for the samples and tells each function's share, alone and with all it calls."""
    said, _ = recorder.communicate(timeout=GRACE_SECONDS)
    if recorder.returncode or not folded.exists():
        raise BenchError(f"py-spy failed (it needs the right to trace the process):\n{said}")
    alone, within, total = Counter[str](), Counter[str](), 0
    for line in folded.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if not frame.startswith("process ")]
        functions = [re.sub(r":\d+\)$", ")", frame) for frame in frames] or ["(no Python frame)"]
        total += int(samples)
        alone[functions[-1]] += int(samples)
        for function in set(functions):
            within[function] += int(samples)
    if not total:
        raise BenchError("py-spy took no samples")
    lines = [f"{total} samples", "  alone  within  function"]
    for function, own in alone.most_common(count):
        lines.append(f"{own / total:7.1%} {within[function] / total:7.1%}  {function}")
    return "\n".join(lines)
