"""What the gateway is meant to reach, and whether it did.

Rule: a target is not met by a gateway that failed requests, however fast.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.results import Results, ratio, times

LOAD = "many-tokens"  # that of every target that names none


@dataclass(frozen=True, slots=True)
class Target:
    text: str
    measured: float | None
    limit: float
    is_floor: bool = False  # the limit is the least, not the most
    unit: str = "×"
    caveat: str = ""

    @property
    def is_reached(self) -> bool:
        if self.measured is None:
            return False
        return self.measured >= self.limit if self.is_floor else self.measured <= self.limit


def targets(results: Results, gateway: str = "gateway") -> Iterator[Target]:
    """The targets of this peer: the gateway as it is, or `compiled`."""
    cpu = results.each(LOAD, lambda one: one.cpu_us_per_request)
    per_second = results.each(LOAD, lambda one: one.requests_per_second)
    p99 = results.each(LOAD, lambda one: one.p99_ms)
    p50_alone = results.each("one-connection", lambda one: one.p50_ms)
    down = results.carried(lambda one: one.down)
    up = results.carried(lambda one: one.up)

    to_haproxy = ratio(cpu, gateway, "haproxy")
    yield Target("CPU per request at most 1 × HAProxy jwt_verify", to_haproxy, 1.0)
    yield Target("… better: at most 0.85 ×", to_haproxy, 0.85)
    yield Target(
        "CPU per request at most 0.6 × Envoy jwt_authn with its cache",
        ratio(cpu, gateway, "envoy"),
        0.6,
    )
    yield Target(
        "CPU per request at most 1.5 × nginx proxy_pass without auth",
        ratio(cpu, gateway, "nginx"),
        1.5,
    )
    yield Target(
        "requests/s at least 40 × the usual Starlette + httpx",
        ratio(per_second, gateway, "usual"),
        40.0,
        is_floor=True,
    )
    yield Target(
        "p99 at 64 connections at most 1.2 × HAProxy's", ratio(p99, gateway, "haproxy"), 1.2
    )
    yield Target(
        "median latency at 1 connection at most 1 × HAProxy's",
        ratio(p50_alone, gateway, "haproxy"),
        1.0,
    )
    for way, rates in (("down", down), ("up", up)):
        yield Target(
            f"100 MB {way} at least 1 × nginx's MB/s",
            ratio(rates, gateway, "nginx"),
            1.0,
            is_floor=True,
        )
    yield _memory(results, gateway)
    if gateway == "gateway":
        one_token = results.each("one-token", lambda one: one.requests_per_second)
        yield Target(
            "requests/s of nginx with auth_request at least 0.75 × without auth (one token)",
            ratio(one_token, "auth-request", "nginx"),
            0.75,
            is_floor=True,
        )
        yield Target(
            "CPU per request of the ASGI lane at most 2 × HAProxy's",
            ratio(cpu, "asgi", "haproxy"),
            2.0,
        )
        yield _two_workers(results)


def table(results: Results) -> list[str]:
    failed = results.failures("gateway") > 0
    compiled = {each.text: each for each in targets(results, "compiled")}
    lines = ["| target | measured | met | compiled |", "|---|---:|---|---:|"]
    for each in targets(results):
        if each.measured is None:
            verdict = "not measured"
        elif each.is_reached and not failed:
            verdict = "yes"
        else:
            verdict = "**no**" + (f": {each.caveat}" if each.caveat else "")
        other = compiled.get(each.text)
        compiled_too = _shown(other) if other is not None else "–"
        lines.append(f"| {each.text} | {_shown(each)} | {verdict} | {compiled_too} |")
    return lines


def _shown(target: Target) -> str:
    measured = target.measured
    if target.unit == "×" or measured is None:
        return times(measured)
    return f"{measured:.1f} MB"


def _memory(results: Results, gateway: str) -> Target:
    peaks = results.each("1000-connections", lambda one: one.peak_memory / 1e6).get(gateway)
    return Target(
        "peak memory with 1,000 connections at most 100 MB",
        max(peaks) if peaks else None,
        100.0,
        unit="MB",
        # The process lives through all rounds, so that its caches fill.
        caveat=f"{peaks[0]:.1f} MB in the first round, with 10,000 tokens known" if peaks else "",
    )


def _two_workers(results: Results) -> Target:
    per_second = results.each(LOAD, lambda one: one.requests_per_second)
    cpu = ratio(results.each(LOAD, lambda one: one.cpu_us_per_request), "gateway-2w", "gateway")
    return Target(
        "two workers on two cores at least 1.8 × one worker's requests/s",
        ratio(per_second, "gateway-2w", "gateway"),
        1.8,
        is_floor=True,
        # What would be left of the second core can't be told from one worker's rounds: the load's
        # cost per request falls with the rate. What workers cost each other can.
        caveat=f"the second worker shares its core with wrk and the upstream; a request costs "
        f"{times(cpu)} one worker's CPU"
        if results.is_second_core_shared and cpu is not None
        else "",
    )
