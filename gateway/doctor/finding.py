"""What a check found: how bad it is, what was seen, and what to change.

Rule: neither evidence nor remedy holds a secret, a token, or what a protected view answered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """In the order in which findings are told."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found about one subject, which is a key path of the configuration."""

    check: str
    severity: Severity
    subject: str
    evidence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Makes the findings about one part of the configuration."""

    path: str

    def error(self, check: str, evidence: str, remedy: str) -> Finding:
        return Finding(check, Severity.ERROR, self.path, evidence, remedy)

    def warning(self, check: str, evidence: str, remedy: str) -> Finding:
        return Finding(check, Severity.WARNING, self.path, evidence, remedy)

    def info(self, check: str, evidence: str, remedy: str = "") -> Finding:
        return Finding(check, Severity.INFO, self.path, evidence, remedy)

    def ok(self, check: str, evidence: str) -> Finding:
        return Finding(check, Severity.OK, self.path, evidence)

    def unknown(self, check: str, why: str, remedy: str = "") -> Finding:
        """What can't be told from outside is said to be so, and never guessed."""
        return Finding(check, Severity.INFO, self.path, f"unknown: {why}", remedy)


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)
