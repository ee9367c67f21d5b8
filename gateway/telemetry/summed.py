"""The metrics of several processes as one: what /metrics shows where several workers serve.

Rule: no counter goes back. What a process had counted when it was last asked stays when it ends.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import add
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_Labels = tuple[tuple[str, str], ...]
_Place = tuple[str, _Labels]  # of a value: the sample's name, and its labels
_Join = Callable[[float, float], float]


class Family(NamedTuple):
    """One metric as a process has it now: plain data that another process can be handed."""

    name: str
    help: str
    type: str
    samples: tuple[tuple[str, _Labels, float], ...]


Snapshot = Sequence[Family]


def snapshot(registry: CollectorRegistry) -> Snapshot:
    """All that a registry holds now."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple(
                (sample.name, tuple(sample.labels.items()), sample.value)
                for sample in metric.samples
            ),
        )
        for metric in registry.collect()
    ]


class SummedMetrics(Collector):
    """The latest snapshot of each process that runs, and what those had counted that ended."""

    def __init__(self) -> None:
        self._running: dict[int, Snapshot] = {}
        self._ended: Snapshot = ()

    def take(self, process: int, snapshot: Snapshot) -> None:
        """What a process told of itself just now."""
        self._running[process] = snapshot

    def retire(self, process: int) -> None:
        """A process has ended: its counters stay, its gauges go."""
        last = self._running.pop(process, ())
        counters = [family for family in last if family.type in ("counter", "histogram")]
        self._ended = list(_joined([self._ended, counters]))

    def exposition(self) -> bytes:
        return generate_latest(self)

    def snapshot(self) -> Snapshot:
        """All of them as one."""
        return list(_joined([self._ended, *self._running.values()]))

    def collect(self) -> Iterator[Metric]:
        for family in self.snapshot():
            metric = Metric(family.name, family.help, family.type)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric


def _joined(snapshots: Sequence[Snapshot]) -> Iterator[Family]:
    families: dict[str, Family] = {}
    values: dict[str, dict[_Place, float]] = {}
    for family in (family for snapshot in snapshots for family in snapshot):
        families.setdefault(family.name, family)
        so_far = values.setdefault(family.name, {})
        for name, labels, value in family.samples:
            join = _join_of(name)
            place = (name, labels)
            so_far[place] = join(so_far[place], value) if place in so_far else value
    for name, family in families.items():
        samples = ((*place, value) for place, value in values[name].items())
        yield family._replace(samples=tuple(samples))


def _join_of(sample: str) -> _Join:
    """How the values of two processes become one; up is what is up for both."""
    return min if sample.endswith(("_up", "_created")) else add
