"""How findings are told: the worst first for people, a stable shape for programs."""

import json
import re
from pathlib import Path

from gateway.doctor.finding import Check, Subject, has_errors
from gateway.doctor.report import as_json, as_text

SUBJECT = Subject("store")
FINDINGS = [
    SUBJECT.ok(Check.STORE_AUTH, "it asks for a password"),
    SUBJECT.unknown(Check.STORE_PERSISTENCE, "it does not tell"),
    SUBJECT.error(Check.STORE_EVICTION, "it says \x1b[31mred", "set noeviction"),
    SUBJECT.warning(Check.CLOCK_SKEW, "5 s", "NTP"),
]


def test_people_read_the_worst_first() -> None:
    assert list(as_text(FINDINGS)) == [
        "error    store_eviction  store: it says \\x1b[31mred",
        "         -> set noeviction",
        "warning  clock_skew  store: 5 s",
        "         -> NTP",
        "info     store_persistence  store: unknown: it does not tell",
        "ok       store_auth  store: it asks for a password",
        "1 error, 1 warning, 1 info, 1 ok",
    ]


def test_programs_read_text_alone() -> None:
    told = json.loads(as_json(FINDINGS))
    assert told[0] == {
        "check": "store_auth",
        "severity": "ok",
        "subject": "store",
        "evidence": "it asks for a password",
        "remedy": "",
    }
    assert [one["severity"] for one in told] == ["ok", "info", "error", "warning"]


def test_an_error_is_what_fails() -> None:
    assert has_errors(FINDINGS)
    assert not has_errors([finding for finding in FINDINGS if finding.check != "store_eviction"])


def test_every_check_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [check.value for check in Check]
