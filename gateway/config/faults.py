"""What is wrong with a configuration: one `Fault` a finding, and `ConfigError` with all of them.

A message never repeats a value from the file or the environment (it may be a secret): the line
that the fault names shows it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding; `where` is `config.yaml:LINE`, or the name of what overrode the file."""

    where: str
    key: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration can't be used; `faults` holds every reason, in the file's order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def written(path: KeyPath) -> str:
    """The key path as people write it: `routes[3].auth`."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in key)
            text += f".{printable}" if text else printable
    return text
