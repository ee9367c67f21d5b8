"""Runs the benchmark: the peers before one upstream, in interleaved rounds, then the report.

Needs nginx, wrk, curl and taskset, and two cores. Everything stays on the loopback interface and
is stopped on the way out, also after Ctrl-C or a failure.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bench.bed import ROOT, Bed, Contender, open_bed, prove, two_cores
from bench.command import names_among, positive, print_profile, run_to_the_end
from bench.load import Load, Round, access_tokens, run_round
from bench.peers import PEERS
from bench.processes import BenchError
from bench.report import Results, report
from bench.transfers import DIRECT, Transfer, run_transfer

TOOLS = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "curl": "curl",
    "taskset": "util-linux",
}
TOKENS = 10_000
WARM_UP_SECONDS = 2


def main() -> int:
    options = _options()

    def work() -> None:
        names = [options.profile] if options.profile else options.peers
        _require_tools(names)
        with tempfile.TemporaryDirectory(prefix="bench-", dir=_scratch_parent()) as scratch:
            _run(options, names, Path(scratch))

    return run_to_the_end(work)


def _run(options: argparse.Namespace, names: list[str], scratch: Path) -> None:
    load_core, peer_core = two_cores()
    signing_key = secrets.token_hex(32)
    tokens = access_tokens(TOKENS, signing_key=signing_key, now=int(time.time()))
    token_file = scratch / "tokens"
    token_file.write_text("\n".join(tokens) + "\n")
    load = Load(connections=options.connections, seconds=options.seconds, tokens=token_file)

    with open_bed(
        names, scratch=scratch, signing_key=signing_key, load_core=load_core, peer_core=peer_core
    ) as bed:

        def measure(contender: Contender, load: Load) -> Round:
            return run_round(
                contender.process,
                contender.site.port,
                load,
                peer_core=peer_core,
                load_core=load_core,
            )

        for contender in bed.contenders:
            prove(contender, tokens[0])
            measure(contender, replace(load, seconds=min(load.seconds, WARM_UP_SECONDS)))
        if options.profile:
            contender = bed.contenders[0]
            print_profile(
                contender.process.pid,
                seconds=load.seconds,
                scratch=scratch,
                under=lambda seconds: measure(contender, replace(load, seconds=seconds)),
            )
            return

        rounds: dict[str, list[Round]] = {name: [] for name in names}
        for number in range(options.rounds):
            for contender in bed.contenders:
                prove(contender, tokens[0])
                done = measure(contender, load)
                rounds[contender.peer.name].append(done)
                _tell(f"round {number + 1} of {options.rounds}", contender, done)
        under_load = _peak_memory(bed)

        for contender in bed.contenders:
            contender.process.reset_peak_memory()
        transfers = _transfers(bed, options.transfers, token=tokens[0], core=load_core)
        in_transfers = _peak_memory(bed)

    text = report(
        Results(
            command=" ".join(["python -m bench", *sys.argv[1:]]),
            load=f"{options.connections} connections, {TOKENS:,} distinct HS256 tokens, answers "
            f"of 1 KB, {options.rounds} rounds of {options.seconds} s.",
            rounds=rounds,
            transfers=transfers,
            memory_under_load=under_load,
            memory_in_transfers=in_transfers,
        )
    )
    print(f"\n{text}")
    if options.output:
        options.output.write_text(text)


def _transfers(bed: Bed, count: int, *, token: str, core: int) -> dict[str, list[Transfer]]:
    """The peers in turn, and the upstream itself; a first turn, with cold memory, is not kept."""
    ports = {one.peer.name: one.site.port for one in bed.contenders}
    ports[DIRECT] = bed.contenders[0].site.upstream_port
    transfers: dict[str, list[Transfer]] = {name: [] for name in ports}
    for number in range(count + 1):
        for name, port in ports.items():
            received = bed.uploads / name
            carried = run_transfer(
                name, port, token, payload=bed.payload, received=received, core=core
            )
            if number:
                transfers[name].append(carried)
    return transfers


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peers",
        type=names_among(PEERS),
        default=list(PEERS),
        help=f"a comma-separated choice of {', '.join(PEERS)} (default: all)",
    )
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--seconds", type=positive, default=4, help="of one round (default: 4)")
    parser.add_argument("--connections", type=positive, default=64)
    parser.add_argument(
        "--transfers", type=positive, default=5, help="times 100 MB go each way (default: 5)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="under a minute: 3 rounds of 2 s, 1 transfer; writes no file unless --output is given",
    )
    parser.add_argument("--output", type=Path, help="where to write (default: bench/RESULTS.md)")
    parser.add_argument(
        "--profile",
        choices=[peer.name for peer in PEERS.values() if peer.is_python],
        help="measure nothing: print where this peer spends its time under load (needs py-spy)",
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.transfers = 3, 2, 1
    elif options.output is None:
        options.output = ROOT / "bench" / "RESULTS.md"
    return options


def _require_tools(names: list[str]) -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise BenchError(
            f"{', '.join(missing)} not found; on Debian: apt-get install {' '.join(missing)}"
        )
    packages = {package for name in names for package in PEERS[name].packages}
    absent = sorted(package for package in packages if find_spec(package) is None)
    if absent:
        raise BenchError(f"{', '.join(absent)} not found: pip install {' '.join(absent)}")


def _scratch_parent() -> Path | None:
    """Memory where there is some, so that no peer waits for a disk when it spools a body."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 10**9
    return memory if roomy else None


def _peak_memory(bed: Bed) -> dict[str, int]:
    return {one.peer.name: one.process.peak_memory() for one in bed.contenders}


def _tell(when: str, contender: Contender, done: Round) -> None:
    print(
        f"{when}  {contender.peer.name:10} {done.requests_per_second:9,.0f} requests/s "
        f"{done.cpu_us_per_request:8.1f} µs CPU/request  p99 {done.p99_ms:.1f} ms",
        flush=True,
    )
