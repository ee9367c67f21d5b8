"""What the benchmarks' commands have in common: their options' types, and a clean way out."""

import argparse
import signal
import sys
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Protocol

from bench.processes import BenchError
from bench.profiling import start_profile, top_functions


class _Choices(Container[str], Iterable[str], Protocol): ...


def run_to_the_end(work: Callable[[], None]) -> int:
    """Does the work, which is stopped cleanly by Ctrl-C and SIGTERM; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        work()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return 0


def names_among(peers: _Choices, *, or_none: bool = False) -> Callable[[str], list[str]]:
    """The type of an option that is a comma-separated choice of these; `or_none`, also of none."""

    def names(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",")]
        if or_none:
            chosen = [name for name in chosen if name]
        for name in chosen:
            if name not in peers:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(peers)}")
        return chosen

    return names


def positive(text: str) -> int:
    """The type of an option that is a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def print_profile(pid: int, *, seconds: int, scratch: Path, under: Callable[[int], object]) -> None:
    """Prints where a process spends its time; `under` loads it for so many seconds."""
    print(profile(pid, seconds=seconds, scratch=scratch, under=under, count=30))


def profile(
    pid: int, *, seconds: int, scratch: Path, under: Callable[[int], object], count: int
) -> str:
    """The functions that take most of a process's time."""
    folded = scratch / "folded"
    recorder = start_profile(pid, seconds=seconds, folded=folded)
    under(seconds + 2)
    return top_functions(recorder, folded, count=count)


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt
