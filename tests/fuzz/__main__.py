"""Fuzzes the client side of the protocol, guided by coverage: `make fuzz`.

Of an input the first byte says which lane and in how many reads; the rest is what a client sends.
Inputs that reach something new are kept in `corpus/`, which `test_corpus.py` runs again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway"]):
    from tests.fuzz.harness import Harness
from tests.fuzz.corpus import CORPUS, check, seeds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--runs", type=int, default=-1, help="stop after this many inputs")
    parser.add_argument("--keep", action="store_true", help="put what is found into corpus/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        harness = Harness(Path(scratch))
        found = CORPUS if options.keep else Path(scratch) / "found"
        first = Path(scratch) / "seeds"
        for folder in (found, first):
            folder.mkdir(exist_ok=True)
        for number, seed in enumerate(seeds()):
            (first / f"seed-{number}").write_bytes(seed)
        atheris.Setup(
            [
                sys.argv[0],
                f"-max_total_time={options.seconds}",
                f"-runs={options.runs}",
                "-max_len=4096",
                "-timeout=10",
                "-print_final_stats=1",
                str(found),
                str(CORPUS),
                str(first),
            ],
            lambda data: check(harness, data),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
