"""What the fault tests make of their measurements."""

from collections.abc import Sequence
from math import ceil


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    return sorted(values)[max(0, ceil(len(values) * share) - 1)]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
