"""Which recorded rows are of the token endpoints, and in what an answer differs from one."""

from dataclasses import dataclass
from typing import Any

from gateway.config import IssuerConfig
from gateway.profiles import Answer, Content, Profile, TokenWire, profile_of, token_wire_of
from tests.factories import issuer_config
from tests.wire.recipes import Row, rows

ALLOW = (b"allow", b"POST, OPTIONS")
# Requests that are at fault before any token is looked at.
BODY_CASES = {
    "missing field", "missing", "blank", "null", "bool", "list", "wrong field name",
    "malformed JSON", "empty body", "text/plain", "token in cookie only",
    "missing password", "body is JSON list", "body is JSON null", "body is JSON string",
    "JSON NaN", "invalid utf-8", "NUL char in username", "body, no content type",
    "application/xml", "multipart without boundary",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    settings: dict[str, Any]

    @property
    def config(self) -> IssuerConfig:
        return issuer_config(**self.settings)

    @property
    def profile(self) -> Profile:
        return profile_of("one", self.config)

    @property
    def wire(self) -> TokenWire:
        return token_wire_of("one", self.config)

    def write(self, said: Content) -> Answer:
        return self.profile.content(said, accept=None, query=b"").with_headers(ALLOW)


RUNS = [
    Run("sj55-default", {}),
    Run("sj55-rotate_blacklist", {}),
    Run("sj55-blacklistapp_norotate", {}),
    Run("sj52-rotate_blacklist", {"profile_version": "5.2"}),
    Run("sj55-sliding", {"auth_token_classes": ["SlidingToken"]}),
    Run("dj-default", {"profile": "drf-jwt"}),
    Run("dj-blacklist", {"profile": "drf-jwt"}),
    Run("lj-allow_refresh", {"profile": "djangorestframework-jwt"}),
]


def endpoint_of(row: Row) -> str:
    path = row["request"]["path"]
    return next((name for name in ("refresh", "verify", "blacklist") if name in path), "obtain")


def endpoint_rows(run: Run, *groups: str) -> list[Row]:
    return [row for row in rows(run.name, *groups) if not row["request"]["path"].endswith("/me/")]


def differences(answer: Answer, row: Row) -> list[str]:
    """Status, body and the headers that must match; the body's length is that of the body."""
    recorded = row["response"]
    wanted = {name.lower(): value for name, value in recorded["headers"]}
    found = {name.decode(): value.decode() for name, value in answer.headers}
    wrong = [
        f"{name}: {found.get(name)!r}"
        for name in ("content-type", "www-authenticate", "vary", "allow", "retry-after")
        if found.get(name) != wanted.get(name)
    ]
    if answer.status != recorded["status"]:
        wrong.append(f"status {answer.status}")
    if answer.body != recorded["body"].encode():
        wrong.append(f"body {answer.body!r}")
    if found["content-length"] != str(len(answer.body)):
        wrong.append("content-length")
    return wrong
