"""Instructions counted by the processor itself (`perf stat`), steadier than time.

Virtual machines often have no such counter; then nothing is counted, and the report says so.
"""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

EVENT = "instructions"


@contextmanager
def counting_instructions(
    pids: Sequence[int], *, is_possible: bool
) -> Iterator[Callable[[], int | None]]:
    """Counts while the block runs; what is yielded tells the sum afterwards, None without one."""
    if not is_possible:
        yield lambda: None
        return
    command = [*_PERF, "--pid", ",".join(map(str, pids))]
    perf = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    told: list[str] = []
    try:
        yield lambda: counted("".join(told))
    finally:
        perf.send_signal(signal.SIGINT)  # it writes its account then
        told.append(perf.communicate()[1])


def has_counter() -> bool:
    if shutil.which("perf") is None:
        return False
    tried = subprocess.run([*_PERF, "true"], capture_output=True, text=True, check=False)
    return counted(tried.stderr) is not None


def counted(account: str) -> int | None:
    """The sum in the account that `perf stat -x,` gives; None where it counts nothing."""
    for line in account.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].startswith(EVENT) and fields[0].isdecimal():
            return int(fields[0])
    return None


_PERF = ("perf", "stat", "--field-separator", ",", "--event", EVENT)
