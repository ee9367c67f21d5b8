"""What the fault tests measured: one line each, shown as a table when the run ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil

Figure = Callable[[str], None]


@dataclass
class Figures:
    """Lines by the test that measured them, in the order in which they ran."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def of(self, test: str) -> Figure:
        return lambda line: self.lines.append((test, line))

    def table(self) -> list[str]:
        shown = []
        last = ""
        for test, line in self.lines:
            if test != last:
                shown.append(test)
                last = test
            shown.append(f"    {line}")
        return shown


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    return sorted(values)[max(0, ceil(len(values) * share) - 1)]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
