"""What a run found, and the arithmetic that its tables share.

Rule: ratios are taken within a round, then the median of them, so that a machine that slows down
for a while slows both sides of a ratio.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.load import Round
from bench.transfers import Transfer

Series = Mapping[str, Sequence[float]]  # by peer, one value a round


@dataclass(frozen=True, slots=True)
class Results:
    command: str
    setting: str
    rounds: Mapping[str, Mapping[str, Sequence[Round]]]  # by load and peer
    transfers: Mapping[str, Sequence[Transfer]]  # by peer
    memory_in_transfers: Mapping[str, int]  # by peer, bytes
    absent: Mapping[str, str]
    is_second_core_shared: bool
    profile: str = ""
    plot: str = "RESULTS.svg"  # the file of the plot, beside the report

    def each(self, load: str, value: Callable[[Round], float]) -> Series:
        ones = self.rounds.get(load, {})
        return {name: [value(one) for one in done] for name, done in ones.items()}

    def carried(self, value: Callable[[Transfer], float]) -> Series:
        return {name: [value(one) for one in done] for name, done in self.transfers.items()}

    def failures(self, name: str) -> int:
        every = (ones.get(name, ()) for ones in self.rounds.values())
        return sum(one.failures for done in every for one in done)

    @property
    def failed(self) -> list[str]:
        """Who failed requests of which load: the run must not pass for a good one."""
        return [
            f"{peer} failed {failures:,} requests of {load}"
            for load, ones in self.rounds.items()
            for peer, done in ones.items()
            if (failures := sum(one.failures for one in done))
        ]


def ratio(series: Series, name: str, reference: str) -> float | None:
    """Median over the rounds of the peer's value by the reference's; None if either is missing."""
    values, bases = series.get(name), series.get(reference)
    if not values or not bases:
        return None
    return statistics.median(value / base for value, base in zip(values, bases, strict=True))


def times(factor: float | None) -> str:
    return "–" if factor is None else f"{factor:.3g} ×"
