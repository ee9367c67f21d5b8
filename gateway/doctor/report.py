"""How findings are told: for people with the worst first, and as JSON in a shape that stays."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from gateway.doctor.finding import Finding, Severity

_WIDTH = max(len(severity.value) for severity in Severity)


def as_json(findings: Sequence[Finding]) -> str:
    """A list of {check, severity, subject, evidence, remedy}, all of them text."""
    told = [{**asdict(finding), "severity": finding.severity.value} for finding in findings]
    return json.dumps(told, indent=2, ensure_ascii=False)


def as_text(findings: Sequence[Finding]) -> Iterator[str]:
    """Each finding with what was seen and what to do; what is well in one line each."""
    order = list(Severity)
    for finding in sorted(findings, key=lambda finding: order.index(finding.severity)):
        mark = finding.severity.value.ljust(_WIDTH)
        yield f"{mark}  {finding.check}  {finding.subject}: {_printable(finding.evidence)}"
        if finding.remedy:
            yield f"{' ' * _WIDTH}  -> {finding.remedy}"
    counted = Counter(finding.severity for finding in findings)
    yield ", ".join(f"{counted[severity]} {severity.value}" for severity in order)


def _printable(text: str) -> str:
    """What was seen may come from a server: no control sequence of it reaches a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
