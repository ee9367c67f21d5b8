"""Owns the lines that the demo prints to be copied; the same strings are what `--check` runs."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.processes import Processes

PUBLIC = "http://127.0.0.1:8080"

_CURL = r"curl -sS -w ' [%{http_code}]\n'"
_STATUS = re.compile(r"\[(\d{3})\]\s*$")
_STAND_IN = Path(__file__).resolve().with_name("curl.py")
_MARK = "----- end of answer -----"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of shell to copy, and the status that its answer must have (None: no request)."""

    name: str
    command: str
    status: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a line printed when it was run."""

    line: Line
    text: str

    @property
    def status(self) -> int | None:
        found = _STATUS.search(self.text)
        return int(found[1]) if found else None

    @property
    def is_expected(self) -> bool:
        return self.status == self.line.status


def _login(path: str, username: str, password: str, *, kept: str) -> list[Line]:
    body = f'{{"username": "{username}", "password": "{password}"}}'
    return [
        Line(
            "login",
            f"LOGIN=$({_CURL} -H 'Content-Type: application/json' -d '{body}' {PUBLIC}{path});"
            ' echo "$LOGIN"',
            200,
        ),
        Line("keep the tokens", kept, None),
    ]


# Login answers {"refresh":"…","access":"…"}, or {"token":"…"} in the legacy package: cut at the
# quotes, the values are the fields 4 and 8.
_KEEP_PAIR = (
    """REFRESH=$(echo "$LOGIN" | cut -d '"' -f 4); TOKEN=$(echo "$LOGIN" | cut -d '"' -f 8)"""
)
_KEEP_TOKEN = """TOKEN=$(echo "$LOGIN" | cut -d '"' -f 4)"""
# A refresh that rotates answers {"access":"…","refresh":"…"}.
_KEEP_FRESH_PAIR = (
    """TOKEN=$(echo "$FRESH" | cut -d '"' -f 4); REFRESH=$(echo "$FRESH" | cut -d '"' -f 8)"""
)
_KEEP_FRESH_TOKEN = """TOKEN=$(echo "$FRESH" | cut -d '"' -f 4)"""


def _lines(
    prefix: str, call: str, refresh: str, verify: str, logout: str, *, kept: str
) -> Iterator[Line]:
    bearer = f'-H "Authorization: {prefix} $TOKEN" {PUBLIC}{call}'
    yield Line("call", f"{_CURL} {bearer}", 200)
    yield Line("no token", f"{_CURL} {PUBLIC}{call}", 401, "refused by the gateway")
    yield Line("refresh", f'FRESH=$({_CURL} {refresh}); echo "$FRESH"', 200)
    yield Line("keep what is fresh", kept, None)
    yield Line("verify", f"{_CURL} {verify}", 200)
    yield Line("logout", f"{_CURL} {logout}", 200, "which the app itself does not have")
    yield Line("call again", f"{_CURL} {bearer}", 401, "the token was good, its session is over")


def _by_host(host: str, prefix: str, path: str) -> Line:
    return Line(
        "by host name",
        f"{_CURL} -H 'Host: {host}' -H \"Authorization: {prefix} $TOKEN\" {PUBLIC}{path}",
        200,
    )


WALKTHROUGHS: dict[str, tuple[Line, ...]] = {
    "students": (
        *_login("/gettoken/", "user1", "#beta123", kept=_KEEP_PAIR),
        *_lines(
            "Bearer",
            call="/studentapi/",
            refresh=f'-d "refresh=$REFRESH" {PUBLIC}/refreshtoken/',
            verify=f'-d "token=$TOKEN" {PUBLIC}/verifytoken/',
            logout=f'-d "refresh=$REFRESH" {PUBLIC}/logout/',
            kept=_KEEP_FRESH_PAIR,
        ),
    ),
    "accounts": (
        *_login("/api/token/", "shoumitro", "Ab12345678", kept=_KEEP_PAIR),
        _by_host("accounts.localhost", "Bearer", "/hello/"),
        *_lines(
            "Bearer",
            call="/api/user/",
            refresh=f'-d "refresh=$REFRESH" {PUBLIC}/api/token/refresh/',
            verify=f'-d "token=$TOKEN" {PUBLIC}/api/token/verify/',
            logout=f'-d "refresh=$REFRESH" {PUBLIC}/api/token/blacklist/',
            kept=_KEEP_FRESH_TOKEN,
        ),
    ),
    "employees": (
        *_login("/api-token-auth/", "Srinivas", "admin123", kept=_KEEP_TOKEN),
        _by_host("employees.localhost", "SRI", "/api/emp/"),
        *_lines(
            "SRI",
            call="/api/emp/",
            refresh=f'-d "token=$TOKEN" {PUBLIC}/api-token-refresh/',
            verify=f'-d "token=$TOKEN" {PUBLIC}/api-token-verify/',
            logout='-H "Authorization: SRI $TOKEN" -d "token=$TOKEN" '
            f"{PUBLIC}/api-token-blacklist/",
            kept=_KEEP_FRESH_TOKEN,
        ),
    ),
}


def _curl() -> str:
    """What lets the shell understand the lines also where there is no curl."""
    if shutil.which("curl"):
        return ""
    return f'curl() {{ {shlex.join([sys.executable, "-B", str(_STAND_IN)])} "$@"; }}'


def run(lines: Sequence[Line], *, processes: Processes, log: Path) -> list[Answer]:
    """Run the lines in one shell, as if pasted one after another; raises DemoError if it dies."""
    script = "\n".join([_curl(), *(f"{line.command}\necho '{_MARK}'" for line in lines)])
    # The loopback needs no proxy, whatever the user's environment says.
    output = processes.run(
        "shell", ["env", "no_proxy=127.0.0.1", "sh", "-c", script], log=log, cwd=log.parent
    )
    answers = output.split(f"{_MARK}\n")
    return [Answer(line, text.rstrip()) for line, text in zip(lines, answers, strict=False)]
