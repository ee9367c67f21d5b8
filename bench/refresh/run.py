"""Runs the benchmark of refreshes: all contenders in interleaved rounds, then the report.

Needs taskset, two cores, the developers' requirements, and the environment of the example apps.
Everything stays on the loopback interface and is stopped on the way out.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.bed import ROOT, two_cores
from bench.command import names_among, positive, print_profile, run_to_the_end
from bench.processes import BenchError
from bench.refresh.growth import weigh
from bench.refresh.load import Round, hs256_keys, rs256_keys, run_round
from bench.refresh.peers import DJANGO, PEERS, Contender, open_contenders, prove
from bench.refresh.report import Results, report
from bench.refresh.signing import two_signatures_us

WARM_UP_SECONDS = 1.0
WEIGHED = ("valkey-hs", "sync-hs", "sync-rs")


def main() -> int:
    options = _options()
    memory = Path("/dev/shm")

    def work() -> None:
        if shutil.which("taskset") is None:
            raise BenchError("taskset not found; on Debian: apt-get install util-linux")
        if not DJANGO.exists():
            raise BenchError("the example apps have no environment yet: make demo ARGS=--check")
        parent = memory if memory.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as scratch:
            _run(options, Path(scratch))

    return run_to_the_end(work)


def _run(options: argparse.Namespace, scratch: Path) -> None:
    load_core, peer_core = two_cores()
    keys = {each.algorithm: each for each in (hs256_keys(), rs256_keys())}
    names = [options.profile] if options.profile else options.peers
    rounds: dict[str, list[Round]] = {name: [] for name in names}
    pairs, weights = [], []

    def measure(contender: Contender, seconds: float) -> Round:
        return run_round(
            contender.processes,
            contender.port,
            contender.keys,
            connections=options.connections,
            seconds=seconds,
            peer_core=peer_core,
            load_core=load_core,
        )

    with open_contenders(names, keys=keys, scratch=scratch, core=peer_core) as contenders:
        for contender in contenders:
            prove(contender)
            measure(contender, WARM_UP_SECONDS)
        if options.profile:
            print_profile(
                contenders[0].processes[0].pid,
                seconds=options.seconds,
                scratch=scratch,
                under=lambda seconds: measure(contenders[0], seconds),
            )
            return
        for number in range(options.rounds):
            pairs.append(two_signatures_us(keys["RS256"], core=peer_core))
            for contender in contenders:
                done = measure(contender, options.seconds)
                rounds[contender.peer.name].append(done)
                _tell(f"round {number + 1} of {options.rounds}", contender, done)
        for contender in contenders:
            if contender.peer.name in options.weigh:
                print(f"weighing the sessions of {contender.peer.name}", flush=True)
                weights += weigh(contender, connections=options.connections, core=load_core)

    text = report(
        Results(
            command=" ".join(["python -m bench.refresh", *sys.argv[1:]]),
            load=f"{options.connections} connections, {options.rounds} rounds of "
            f"{options.seconds} s.",
            rounds=rounds,
            two_signatures=pairs,
            weights=weights,
        )
    )
    print(f"\n{text}")
    if options.output:
        options.output.write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.refresh", description=(__doc__ or "").splitlines()[0]
    )
    several = f"a comma-separated choice of {', '.join(PEERS)} (default: all)"
    parser.add_argument(
        "--peers", type=names_among(PEERS, or_none=True), default=list(PEERS), help=several
    )
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--seconds", type=positive, default=4, help="of one round (default: 4)")
    parser.add_argument("--connections", type=positive, default=32)
    parser.add_argument(
        "--weigh",
        type=names_among(PEERS, or_none=True),
        default=list(WEIGHED),
        help=f"whose sessions are weighed, by default {', '.join(WEIGHED)}",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="3 rounds of 2 s, nothing weighed; writes no file unless --output is given",
    )
    parser.add_argument("--output", type=Path, help="where to write (default: bench/REFRESH.md)")
    parser.add_argument(
        "--profile",
        choices=list(PEERS),
        help="measure nothing: print where this one spends its time (needs py-spy)",
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.weigh = 3, 2, []
    elif options.output is None:
        options.output = ROOT / "bench" / "REFRESH.md"
    return options


def _tell(when: str, contender: Contender, done: Round) -> None:
    print(
        f"{when}  {contender.peer.name:10} {done.refreshes_per_second:8,.0f} refreshes/s "
        f"{done.cpu_us:8.0f} µs CPU/refresh  p99 {done.p99_ms:.1f} ms  "
        f"core {done.core_share:.0%}  client {done.client_share:.0%}",
        flush=True,
    )
