"""Where each value came from, so that a fault can name its line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.config.faults import Fault, KeyPath, written


@dataclass(frozen=True, slots=True)
class Source:
    """The places of all keys: lines of the file, or the variable or option that overrode it."""

    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict, repr=False)
    overrides: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)

    def fault(self, path: KeyPath, message: str) -> Fault:
        """A finding about `path`, at its line or that of the nearest section that is there."""
        while path and isinstance(path[-1], int) and not self.knows(path):
            path = path[:-1]  # the short form of a list of one
        places = [path[:end] for end in range(len(path), 0, -1)]
        for place in places:  # what was overridden came from no line, though the file has one
            if place in self.overrides:
                return Fault(self.overrides[place], written(path), message)
        for place in places:
            if place in self.lines:
                return self.fault_on(self.lines[place], message, path)
        return self.fault_on(1, message, path)

    def fault_on(self, line: int, message: str, path: KeyPath = ()) -> Fault:
        return Fault(f"{self.file}:{line}", written(path), message, line)

    def knows(self, path: KeyPath) -> bool:
        return path in self.lines or path in self.overrides
