"""Runs the benchmark: the peers before one upstream, in interleaved rounds, then the report.

Needs nginx, wrk, curl and taskset, and two cores; any other peer that is missing is reported as
absent. Everything stays on the loopback interface and is stopped on the way out, also after Ctrl-C
or a failure.
"""

import argparse
import resource
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.bed import ROOT, Bed, Contender, Cores, cores_at_hand, open_bed, prove
from bench.command import names_among, positive, profile, run_to_the_end
from bench.counters import has_counter
from bench.install import REQUIRED
from bench.load import FRESH_TOKENS_PER_SECOND, LOADS, Load, Round, Tokens, run_round, warm_up
from bench.peers import PEERS
from bench.plot import plot
from bench.processes import BenchError
from bench.report import report
from bench.results import Results
from bench.transfers import DIRECT, TRANSFERS, Transfer, run_transfer

WARM_UP_SECONDS = 1
PROFILED_SECONDS = 5
RESULTS = ROOT / "bench" / "RESULTS.md"
EVERY_DAY = LOADS["many-tokens"]
Measure = Callable[[Contender, Load, Path, int], Round]


def main() -> int:
    options = _options()

    def work() -> None:
        missing = [package for tool, package in REQUIRED.items() if shutil.which(tool) is None]
        if missing:
            raise BenchError(
                f"{', '.join(missing)} not found; on Debian: apt-get install {' '.join(missing)}"
            )
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # peers inherit it
        with tempfile.TemporaryDirectory(prefix="bench-", dir=_scratch_parent()) as scratch:
            _run(options, Path(scratch))

    return run_to_the_end(work)


def _run(options: argparse.Namespace, scratch: Path) -> None:
    cores, signing_key = cores_at_hand(), secrets.token_hex(32)
    tokens = Tokens(scratch, signing_key=signing_key, clock=time.time)
    known = tokens.written(EVERY_DAY.tokens)
    token = known.read_text().split("\n", 1)[0]
    measure = _measuring(cores)
    names = [options.profile] if options.profile else options.only

    with open_bed(names, scratch=scratch, signing_key=signing_key, cores=cores, token=token) as bed:
        for name, reason in bed.absent.items():
            print(f"bench: {name} is absent: {reason}", file=sys.stderr)
        for contender in bed.contenders:
            measure(contender, EVERY_DAY, known, WARM_UP_SECONDS)
        if options.profile:
            for contender in bed.contenders:
                print(_profile(contender, scratch, known, measure=measure, count=30))
            return
        rounds = _rounds(options, bed, tokens, token=token, measure=measure, core=cores.load)
        transfers, in_transfers = _transfers(options, bed, token=token, core=cores.load)
        profiled = "" if options.quick else _gateway_profile(bed, scratch, known, measure=measure)

    written = options.output or RESULTS
    drawing = written.with_suffix(".svg")
    results = Results(
        command=" ".join(["python -m bench", *sys.argv[1:]]),
        setting=f"rounds of each load: {options.rounds}, of {options.seconds} s.",
        rounds=rounds,
        transfers=transfers,
        memory_in_transfers=in_transfers,
        absent=bed.absent,
        is_second_core_shared=cores.is_second_shared,
        profile=profiled,
        plot=drawing.name,
    )
    text = report(results)
    print(f"\n{text}")
    if options.output:
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text)
        drawing.write_text(plot(rounds.get(EVERY_DAY.name, {})))
    if results.failed:
        raise BenchError("; ".join(results.failed))


def _measuring(cores: Cores) -> Measure:
    counts_instructions = has_counter()

    def measure(contender: Contender, load: Load, tokens: Path, seconds: int) -> Round:
        done = run_round(
            contender.process,
            contender.site.port,
            load,
            tokens=tokens,
            seconds=seconds,
            peer_core=cores.peer,
            load_core=cores.load,
            counts_instructions=counts_instructions,
        )
        sent = FRESH_TOKENS_PER_SECOND * seconds
        if load.is_fresh and contender.peer.caches_tokens and done.requests > sent:
            raise BenchError(f"{contender.peer.name} took more than the {sent:,} new tokens")
        return done

    return measure


def _rounds(
    options: argparse.Namespace,
    bed: Bed,
    tokens: Tokens,
    *,
    token: str,
    measure: Measure,
    core: int,
) -> dict[str, dict[str, list[Round]]]:
    """By load and peer; a load's peers take turns, and the loads do so in each round.

    A peer is sent a load's tokens before they are timed, where its last ones were others: each
    round begins alike, whatever the loads before it made a cache forget.
    """
    loads = [LOADS[name] for name in options.load if name in LOADS]
    takers = {
        load.name: [one for one in bed.contenders if one.peer.takes(load.name)] for load in loads
    }
    rounds: dict[str, dict[str, list[Round]]] = {
        name: {one.peer.name: [] for one in ones} for name, ones in takers.items()
    }
    known: dict[str, Path] = {}  # by peer, the tokens that it was sent last
    for number in range(options.rounds):
        for load in loads:
            seconds = options.seconds
            sent = tokens.fresh(seconds=seconds) if load.is_fresh else tokens.written(load.tokens)
            for contender in takers[load.name]:
                prove(contender, token)
                if known.get(contender.peer.name) != sent and not load.is_fresh:
                    warm_up(
                        contender.peer.name,
                        contender.site.port,
                        load,
                        tokens=sent,
                        core=core,
                        caches=contender.peer.caches,
                    )
                known[contender.peer.name] = sent
                done = measure(contender, load, sent, seconds)
                rounds[load.name][contender.peer.name].append(done)
                print(
                    f"round {number + 1} of {options.rounds}  {load.name:16}  "
                    f"{contender.peer.name:10} {done.requests_per_second:9,.0f} requests/s "
                    f"{done.cpu_us_per_request:8.1f} µs CPU/request  p99 {done.p99_ms:.2f} ms"
                    + (f"  FAILED {done.failures:,}" if done.failures else ""),
                    flush=True,
                )
    return rounds


def _transfers(
    options: argparse.Namespace, bed: Bed, *, token: str, core: int
) -> tuple[dict[str, list[Transfer]], dict[str, int]]:
    """The peers in turn, and the upstream itself; a first turn, with cold memory, is not kept."""
    if TRANSFERS not in options.load:
        return {}, {}
    takers = [one for one in bed.contenders if one.peer.takes(TRANSFERS)]
    ports = {one.peer.name: one.site.port for one in takers} | {DIRECT: bed.upstream_port}
    transfers: dict[str, list[Transfer]] = {name: [] for name in ports}
    for contender in takers:
        contender.process.reset_peak_memory()
    for number in range(options.transfers + 1):
        for name, port in ports.items():
            received = bed.uploads / name
            carried = run_transfer(
                name, port, token, payload=bed.payload, received=received, core=core
            )
            if number:
                transfers[name].append(carried)
        print(f"transfers {number} of {options.transfers}", flush=True)
    return transfers, {one.peer.name: one.process.peak_memory() for one in takers}


def _gateway_profile(bed: Bed, scratch: Path, tokens: Path, *, measure: Measure) -> str:
    """In short, for the report; a machine that lets no process be traced has none."""
    gateway = next((one for one in bed.contenders if one.peer.name == "gateway"), None)
    if gateway is None:
        return ""
    try:
        return _profile(gateway, scratch, tokens, measure=measure, count=15)
    except BenchError as error:
        return str(error)


def _profile(
    contender: Contender, scratch: Path, tokens: Path, *, measure: Measure, count: int
) -> str:
    return profile(
        contender.process.pid,
        seconds=PROFILED_SECONDS,
        scratch=scratch,
        under=lambda seconds: measure(contender, EVERY_DAY, tokens, seconds),
        count=count,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    loads = [*LOADS, TRANSFERS]
    parser.add_argument(
        "--only",
        type=names_among(PEERS),
        help=f"a comma-separated choice of peers: {', '.join(PEERS)} (default: all)",
    )
    parser.add_argument(
        "--load",
        type=names_among(loads),
        help=f"a comma-separated choice of loads: {', '.join(loads)} (default: all)",
    )
    parser.add_argument("--rounds", type=positive, help="of each load (default: 5)")
    parser.add_argument("--seconds", type=positive, help="of one round (default: 3)")
    parser.add_argument("--transfers", type=positive, help="times 100 MB go each way (default: 5)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="under three minutes: 2 rounds of 1 s, 1 transfer; writes no file by default",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="where to write, with a plot beside it (default: of a whole run, bench/RESULTS.md)",
    )
    parser.add_argument(
        "--profile",
        nargs="?",
        const="gateway",
        choices=["gateway", "asgi", "usual", "aiohttp"],
        help="measure nothing: print where this peer (default: the gateway) spends its time",
    )
    options = parser.parse_args()
    is_whole = not (options.quick or options.only or options.load or options.profile)
    options.only, options.load = options.only or list(PEERS), options.load or loads
    rounds, seconds, transfers = (2, 1, 1) if options.quick else (5, 3, 5)
    options.rounds = options.rounds or rounds
    options.seconds = options.seconds or seconds
    options.transfers = options.transfers or transfers
    if is_whole and options.output is None:
        options.output = RESULTS
    return options


def _scratch_parent() -> Path | None:
    """Memory where there is some, so that no peer waits for a disk: bodies, access logs."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 10**9
    return memory if roomy else None
