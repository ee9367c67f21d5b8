"""Rounds as a run might have found them."""

from collections.abc import Mapping, Sequence

from bench.load import Round
from bench.results import Results
from bench.transfers import Transfer


def a_round(
    *,
    cpu: float = 20.0,
    per_second: float = 50_000.0,
    p50: float = 1.0,
    p99: float = 2.0,
    failures: int = 0,
    peak_memory: int = 90_000_000,
    instructions: float | None = None,
) -> Round:
    return Round(
        requests=1000,
        requests_per_second=per_second,
        cpu_us_per_request=cpu,
        kernel_share=0.6,
        p50_ms=p50,
        p99_ms=p99,
        failures=failures,
        peak_memory=peak_memory,
        peer_core_share=0.97,
        others_core_share=0.02,
        instructions=instructions,
    )


def results(
    rounds: Mapping[str, Mapping[str, Sequence[Round]]],
    *,
    transfers: Mapping[str, Sequence[Transfer]] | None = None,
    absent: Mapping[str, str] | None = None,
    is_second_core_shared: bool = True,
    profile: str = "",
) -> Results:
    return Results(
        command="python -m bench",
        setting="rounds of each load: 1, of 1 s.",
        rounds=rounds,
        transfers=transfers or {},
        memory_in_transfers={},
        absent=absent or {},
        is_second_core_shared=is_second_core_shared,
        profile=profile,
    )
