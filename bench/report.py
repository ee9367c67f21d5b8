"""The report: every measured time stands beside its ratio to the two reference peers.

Rule: ratios are taken within a round, then the median of them, so that a machine that slows down
for a while slows both sides of a ratio.
"""

import importlib.metadata
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.load import Round
from bench.peers import PEERS
from bench.transfers import DIRECT, Transfer

REFERENCES = ("nginx", "haproxy", "usual")
MIN_THROUGHPUT_TO_USUAL = 40.0
MAX_CPU_TO_NGINX = 1.5
MAX_CPU_TO_HAPROXY = 1.0
MAX_CPU_OF_ASGI_TO_HAPROXY = 2.0
PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "httpx", "sniffio", "PyJWT")

Series = Mapping[str, Sequence[float]]  # by peer, one value a round


@dataclass(frozen=True, slots=True)
class Results:
    command: str
    load: str
    rounds: Mapping[str, Sequence[Round]]
    transfers: Mapping[str, Sequence[Transfer]]
    memory_under_load: Mapping[str, int]  # bytes
    memory_in_transfers: Mapping[str, int]


def report(results: Results) -> str:
    rounds, transfers = results.rounds, results.transfers

    def each(value: Callable[[Round], float]) -> Series:
        return {name: [value(one) for one in ones] for name, ones in rounds.items()}

    down = {name: [one.down for one in ones] for name, ones in transfers.items()}
    up = {name: [one.up for one in ones] for name, ones in transfers.items()}
    cpu = each(lambda one: one.cpu_us_per_request)
    throughput = each(lambda one: one.requests_per_second)
    failures = sum(one.failures for one in rounds.get("gateway", ()))
    return "\n".join(
        [
            "# Results of the benchmark",
            "",
            *_setting(results),
            "## Targets",
            "",
            *_targets(cpu, throughput, failures=failures),
            "## CPU per request",
            "",
            *_table("µs/request", cpu, "{:.1f}"),
            "## Throughput",
            "",
            *_table("requests/s", throughput, "{:,.0f}"),
            "## Latency",
            "",
            "At full load, so it mostly tells how long a request queues for the one core.",
            "",
            *_table("p50, ms", each(lambda one: one.p50_ms), "{:.2f}"),
            *_table("p99, ms", each(lambda one: one.p99_ms), "{:.2f}"),
            "## 100 MB bodies",
            "",
            *_table("down, MB/s", down, "{:,.0f}"),
            *_table("up, MB/s", up, "{:,.0f}"),
            "## Peak memory",
            "",
            *_table("under load, MB", _megabytes(results.memory_under_load), "{:.1f}"),
            *_table("in transfers, MB", _megabytes(results.memory_in_transfers), "{:.1f}"),
            "## How far to trust it",
            "",
            *_trust(rounds),
        ]
    )


def _setting(results: Results) -> list[str]:
    return [
        f"Written by `{results.command}`. {results.load}",
        "Each peer is one process on a core of its own; the load generator and the nginx upstream "
        "share the other. Rounds are interleaved. CPU is what the kernel charged to the peer "
        "(utime + stime, children included) over the requests completed. Values are medians, "
        "with the smallest and largest round beside them; ratios are medians of the ratios "
        "within a round. No peer writes an access log.",
        "",
        f"Versions: {', '.join(_versions())}.",
        "",
    ]


def _targets(cpu: Series, throughput: Series, *, failures: int) -> list[str]:
    """A target is not met by a gateway that failed requests, however fast."""
    faster = _ratio(throughput, "gateway", "usual")
    dearer = _ratio(cpu, "gateway", "nginx")
    to_haproxy = _ratio(cpu, "gateway", "haproxy")
    asgi = _ratio(cpu, "asgi", "haproxy")
    lines = ["| target | measured | met |", "|---|---:|---|"]
    for text, measured, is_reached in (
        (
            f"throughput at least {MIN_THROUGHPUT_TO_USUAL:g} × the usual Starlette + httpx",
            faster,
            faster is not None and faster >= MIN_THROUGHPUT_TO_USUAL,
        ),
        (
            f"CPU per request at most {MAX_CPU_TO_NGINX:g} × nginx proxy_pass",
            dearer,
            dearer is not None and dearer <= MAX_CPU_TO_NGINX,
        ),
        (
            f"CPU per request at most {MAX_CPU_TO_HAPROXY:g} × HAProxy jwt_verify",
            to_haproxy,
            to_haproxy is not None and to_haproxy <= MAX_CPU_TO_HAPROXY,
        ),
        (
            f"CPU per request of the ASGI lane at most {MAX_CPU_OF_ASGI_TO_HAPROXY:g} × HAProxy's",
            asgi,
            asgi is not None and asgi <= MAX_CPU_OF_ASGI_TO_HAPROXY,
        ),
    ):
        verdict = "–" if measured is None else "yes" if is_reached and not failures else "**no**"
        lines.append(f"| {text} | {_times(measured)} | {verdict} |")
    return [*lines, ""]


def _table(unit: str, series: Series, form: str) -> list[str]:
    if not series:
        return []
    shows_spread = any(len(values) > 1 for values in series.values())
    heads = ["peer", unit, *(["min – max"] if shows_spread else [])]
    heads += [f"× {reference}" for reference in REFERENCES]
    lines = [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)])]
    for name, values in series.items():
        cells = [_label(name), form.format(statistics.median(values))]
        if shows_spread:
            cells.append(f"{form.format(min(values))} – {form.format(max(values))}")
        cells += [_times(_ratio(series, name, reference)) for reference in REFERENCES]
        lines.append(_row(cells))
    return [*lines, ""]


def _label(name: str) -> str:
    return "no peer: the ceiling" if name == DIRECT else PEERS[name].label


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(series: Series, name: str, reference: str) -> float | None:
    """Median over the rounds of the peer's value by the reference's; None if either is missing."""
    if name not in series or reference not in series:
        return None
    pairs = zip(series[name], series[reference], strict=True)
    return statistics.median(value / base for value, base in pairs)


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.3g} ×"


def _megabytes(sizes: Mapping[str, int]) -> Series:
    return {name: [size / 1e6] for name, size in sizes.items()}


def _trust(rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    lines = [
        "A peer that fills its core was the bottleneck; other work on that core disturbs the "
        "measurement (kernel threads and interrupts count as other work).",
        "",
        "| peer | rounds | requests | failed | its core used by it | by others |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, ones in rounds.items():
        requests, failures = sum(one.requests for one in ones), sum(one.failures for one in ones)
        own = statistics.median(one.peer_core_share for one in ones)
        others = statistics.median(one.others_core_share for one in ones)
        lines.append(
            f"| {_label(name)} | {len(ones)} | {requests:,} | {failures:,} "
            f"| {own:.0%} | {others:.0%} |"
        )
    return [*lines, ""]


def _versions() -> Iterable[str]:
    yield f"Python {platform.python_version()}"
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield f"{package} {importlib.metadata.version(package)}"
    yield f"nginx {_told(['nginx', '-v'], r'nginx/([0-9.]+)')}"
    yield f"HAProxy {_told(['haproxy', '-v'], r'version ([0-9.]+)')}"
    yield f"wrk {_told(['wrk', '-v'], r'wrk (?:debian/)?([0-9.]+)')}"
    yield f"{platform.system()} {re.sub(r'-.*', '', platform.release())}"
    yield _processor()


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _told(command: list[str], pattern: str) -> str:
    """The first group of the pattern in what the command prints, on either stream."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    found = re.search(pattern, finished.stdout + finished.stderr)
    return found[1] if found else "?"
