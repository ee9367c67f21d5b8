"""The report: every measured value stands beside its ratio to the reference peers."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from bench import targets
from bench.load import LOADS, Round
from bench.peers import PEERS
from bench.results import Results, Series, ratio, times
from bench.transfers import DIRECT
from bench.versions import versions

REFERENCES = ("nginx", "haproxy", "envoy", "usual")
LONGEST_REASON = 200


def report(results: Results) -> str:
    return "\n".join(
        [
            "# Results of the benchmark",
            "",
            *_setting(results),
            "## Targets",
            "",
            "Where no load is named: 10,000 tokens, 64 connections.",
            "",
            *targets.table(results),
            "",
            f"![CPU per request of each peer]({results.plot})",
            "",
            *_loads(results),
            *_bodies(results),
            *_profile(results),
            "## How far to trust it",
            "",
            *_trust(results),
        ]
    )


def _setting(results: Results) -> Iterable[str]:
    yield f"Written by `{results.command}`. Answers of 1 KB, HS256; {results.setting}"
    yield (
        "Each peer is one process on a core of its own; wrk and the nginx upstream share the "
        "other. Rounds are interleaved. All write an access log to a file in memory: nginx and "
        "HAProxy as shipped, the Python peers as uvicorn and aiohttp do, the gateway with its "
        "metrics as by default. CPU is what the kernel charged to the peer and its children over "
        "the requests completed. Values are medians, with the smallest and largest round in "
        "brackets; ratios are medians of the ratios within a round."
    )
    if any(one.instructions for ones in results.rounds.values() for one in _flat(ones)):
        yield "Instructions per request were counted by the processor (`perf stat`)."
    else:
        yield "Instructions could not be counted: `perf stat` has no such counter on this machine."
    yield from ("", f"Versions: {', '.join(versions())}.", "")
    for name, reason in results.absent.items():
        yield f"- Absent: {_label(name)}. {_short(reason)}"
    for failure in results.failed:
        yield f"- **Failed:** {failure}"
    if results.absent or results.failed:
        yield ""


def _loads(results: Results) -> Iterable[str]:
    for name, ones in results.rounds.items():
        yield from (f"## {LOADS[name].label}", "")
        if name == "new-tokens":
            yield from ("So what is measured is verification itself: no cache helps.", "")
        yield from _costs(ones, results.each(name, lambda one: one.cpu_us_per_request))
        yield from _speed(name, results)
        for peer in PEERS.values():
            if name in peer.spared and peer.name not in results.absent:
                yield from (f"Without {peer.label}: {peer.spared[name]}.", "")


def _costs(ones: Mapping[str, Sequence[Round]], cpu: Series) -> Iterable[str]:
    counts = any(one.instructions for one in _flat(ones))
    heads = ["peer", "CPU µs/request", "in the kernel"]
    heads += [*(["instructions"] if counts else []), *(f"× {name}" for name in REFERENCES)]
    yield from _heads(heads)
    for name, done in ones.items():
        kernel = statistics.median(one.kernel_share for one in done)
        cells = [_label(name), _spread(cpu[name]), f"{kernel:.0%}"]
        if counts:
            cells.append(_shown(statistics.median(one.instructions or 0 for one in done)))
        yield _row([*cells, *_ratios(cpu, name)])
    yield ""


def _speed(load: str, results: Results) -> Iterable[str]:
    per_second = results.each(load, lambda one: one.requests_per_second)
    p50 = results.each(load, lambda one: one.p50_ms)
    p99 = results.each(load, lambda one: one.p99_ms)
    peak = results.each(load, lambda one: one.peak_memory / 1e6)
    heads = ["peer", "requests/s", "p50 ms", "× haproxy", "p99 ms", "× haproxy", "peak memory, MB"]
    yield from _heads(heads)
    for name, values in per_second.items():
        cells = [_label(name), _spread(values)]
        for latency in (p50, p99):
            cells += [_spread(latency[name]), times(ratio(latency, name, "haproxy"))]
        yield _row([*cells, _shown(max(peak[name]))])
    yield ""


def _bodies(results: Results) -> Iterable[str]:
    if not results.transfers:
        return
    ways = {
        "down": results.carried(lambda one: one.down),
        "up": results.carried(lambda one: one.up),
    }
    yield from ("## 100 MB bodies", "")
    for way, rates in ways.items():
        heads = ["peer", f"{way}, MB/s", *(f"× {name}" for name in REFERENCES), "peak memory, MB"]
        yield from _heads(heads)
        for name, values in rates.items():
            peak = results.memory_in_transfers.get(name)
            cells = [_label(name), _spread(values), *_ratios(rates, name)]
            yield _row([*cells, "–" if peak is None else _shown(peak / 1e6)])
        yield ""


def _profile(results: Results) -> Iterable[str]:
    if results.profile:
        yield from ("## Where the gateway's time goes", "")
        yield "py-spy's samples under 10,000 tokens, by function; what C and the kernel do for a"
        yield "function counts as its own."
        yield from ("", "```", results.profile, "```", "")


def _trust(results: Results) -> Iterable[str]:
    yield "A peer that fills its core was the bottleneck; other work on that core disturbs the"
    yield "measurement (kernel threads and interrupts count as other work)."
    heads = ["peer", "requests", "failed", "its core used by it, 64 connections", "by others, any"]
    yield ""
    yield from _heads(heads)
    peers = {name: None for ones in results.rounds.values() for name in ones}
    for name in peers:
        every = [one for ones in results.rounds.values() for one in ones.get(name, ())]
        full = [
            one
            for load, ones in results.rounds.items()
            for one in ones.get(name, ())
            if LOADS[load].connections == 64
        ]
        own = f"{statistics.median(one.peer_core_share for one in full):.0%}" if full else "–"
        others = statistics.median(one.others_core_share for one in every)
        requests = sum(one.requests for one in every)
        failed = results.failures(name)
        yield _row([_label(name), f"{requests:,}", f"{failed:,}", own, f"{others:.0%}"])
    yield ""


def _spread(values: Sequence[float]) -> str:
    """The median, with the least and the most beside it."""
    median = _shown(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({_shown(min(values))} – {_shown(max(values))})"


def _shown(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratios(series: Series, name: str) -> list[str]:
    return [times(ratio(series, name, reference)) for reference in REFERENCES]


def _flat(ones: Mapping[str, Sequence[Round]]) -> Iterable[Round]:
    return (one for done in ones.values() for one in done)


def _label(name: str) -> str:
    return "no peer: the ceiling" if name == DIRECT else PEERS[name].label


def _short(reason: str) -> str:
    text = " ".join(reason.replace("|", " ").split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} …"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heads(heads: Sequence[str]) -> Iterable[str]:
    yield _row(heads)
    yield _row(["---", *["---:"] * (len(heads) - 1)])
