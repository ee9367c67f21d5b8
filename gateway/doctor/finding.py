"""What a check found: how bad it is, what was seen, and what to change.

Rule: neither evidence nor remedy holds a secret, a token, or what a protected view answered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum


class Severity(Enum):
    """In the order in which findings are told."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    OK = "ok"


class Check(StrEnum):
    """What is looked at; the names stay, for programs read them (docs/doctor.md has each)."""

    UPSTREAM_REACHABLE = "upstream_reachable"
    UPSTREAM_EXPOSED = "upstream_exposed"
    ALLOWED_HOSTS = "allowed_hosts"
    HTTPS_REDIRECT = "https_redirect"
    CSRF_ORIGIN = "csrf_origin"
    FORGED_IDENTITY = "forged_identity"
    UNDERSCORE_HEADERS = "underscore_headers"
    WORDING = "wording"
    KEEP_ALIVE = "keep_alive"
    CLOCK_SKEW = "clock_skew"
    SHARED_KEY = "shared_key"
    WEAK_KEY = "weak_key"
    TOKEN_LIFETIME = "token_lifetime"  # noqa: S105
    STORE_REACHABLE = "store_reachable"
    STORE_EVICTION = "store_eviction"
    STORE_PERSISTENCE = "store_persistence"
    STORE_AUTH = "store_auth"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found about one subject, which is a key path of the configuration."""

    check: Check
    severity: Severity
    subject: str
    evidence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Makes the findings about one part of the configuration."""

    path: str

    def error(self, check: Check, evidence: str, remedy: str) -> Finding:
        return Finding(check, Severity.ERROR, self.path, evidence, remedy)

    def warning(self, check: Check, evidence: str, remedy: str) -> Finding:
        return Finding(check, Severity.WARNING, self.path, evidence, remedy)

    def info(self, check: Check, evidence: str, remedy: str = "") -> Finding:
        return Finding(check, Severity.INFO, self.path, evidence, remedy)

    def ok(self, check: Check, evidence: str) -> Finding:
        return Finding(check, Severity.OK, self.path, evidence)

    def unknown(self, check: Check, why: str, remedy: str = "") -> Finding:
        """What can't be told from outside is said to be so, and never guessed."""
        return Finding(check, Severity.INFO, self.path, f"unknown: {why}", remedy)


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)
