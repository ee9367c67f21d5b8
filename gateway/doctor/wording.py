"""Whether an upstream refuses in the words that the gateway uses in its stead.

Clients have learned the upstream's; the gateway speaks first. Each guarded view is asked with no
token, with one that is none, and with one that expired an hour ago; what the gateway would answer
is found by its own authenticator and profile.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.authentication import Authenticator
from gateway.config import IssuerConfig
from gateway.doctor.finding import Check, Finding, Subject
from gateway.doctor.plan import CheckedServer, Guarded
from gateway.doctor.probe import Seen, Unanswered
from gateway.errors import AuthenticationFailed
from gateway.identity import Identity
from gateway.profiles import Answer, Profiles
from gateway.request import RequestHead
from gateway.tokens.issuer import Issuer
from gateway.tokens.keys import load_keys

_AGO = 3600.0  # seconds since when the expired token is
_LIFE = 60.0
_NOBODY = "gateway-doctor"
_READ = ("content-type", "www-authenticate")  # the fields that clients go by
_SHOWN = 300  # characters of an answer
# Every wording that there is, with the release since which it is so.
_KNOWN = (
    *(("simplejwt", "5.5"), ("simplejwt", "5.4"), ("drf-jwt", "1.19")),
    *(("djangorestframework-jwt", "1.11"), ("jwt", "1.0")),
)


@dataclass(frozen=True, slots=True)
class _Case:
    """One way to be refused: the value of the authentication header, None for no such header."""

    name: str
    value: str | None = field(repr=False)


async def wording(server: CheckedServer, issuers: Mapping[str, IssuerConfig]) -> list[Finding]:
    """One finding for each issuer whose tokens this upstream is to judge itself."""
    check, subject = Check.WORDING, server.subject
    if server.plan.settings.identity != "passthrough":
        return [
            subject.unknown(
                check,
                "the upstream gets no token of the client's "
                f"(identity: {server.plan.settings.identity}), so it words no refusal of one",
            )
        ]
    views: dict[str, Guarded] = {}
    for view in server.guarded:
        for name in view.route.issuers:
            views.setdefault(name, view)
    if not views:
        why = "no path of a guarded route answers 401 or 403 without a token"
        return [subject.unknown(check, why, "name one: gateway doctor --path /api/me/")]
    return [await _compared(server, view, name, issuers) for name, view in views.items()]


async def _compared(
    server: CheckedServer, view: Guarded, name: str, issuers: Mapping[str, IssuerConfig]
) -> Finding:
    config = issuers[name]
    cases = list(_cases(name, config, is_required=view.route.auth == "required"))
    answers: list[tuple[_Case, Seen]] = []
    for case in cases:
        told = {} if case.value is None else {config.auth_header_name: case.value}
        try:
            answers.append((case, await server.ask(view.path, told)))
        except Unanswered as error:
            return server.subject.unknown(Check.WORDING, f"GET {view.path}, {case.name}: {error}")
    return judged(view.path, name, config, answers, subject=server.subject)


def judged(
    path: str,
    name: str,
    config: IssuerConfig,
    answers: list[tuple[_Case, Seen]],
    *,
    subject: Subject,
) -> Finding:
    """What the upstream answered beside what the gateway would."""
    check = Check.WORDING
    asked = ", ".join(case.name for case, _ in answers)
    ours = _Voice(name, config)
    differing = [(case, seen) for case, seen in answers if not ours.says(case, seen)]
    if not differing:
        return subject.ok(check, f"GET {path} refuses as the gateway does for {name}: {asked}")
    case, seen = min(differing, key=lambda one: one[1].status)  # who is let in, above all
    told = f"issuer {name}, GET {path} with {case.name}: {ours.contrast(case, seen)}"
    fitting = [
        f"profile: {profile}, profile_version: {version!r}"
        for profile, version in _KNOWN
        if (other := _as(config, profile, version)) is not None
        and all(_Voice(name, other).says(case, seen) for case, seen in answers)
    ]
    if seen.status < 400:
        return subject.error(
            check,
            told,
            "let the upstream verify signatures and exp: what gets past the gateway, or comes from "
            "a route with auth: none, is let in",
        )
    if fitting:
        return subject.error(check, told, f"set issuers.{name} to {fitting[0]}")
    if [case.name for case, _ in differing] == [_EXPIRED]:
        return subject.error(
            check,
            told,
            f"give issuers.{name} the key, algorithm, audience and issuer of the upstream's own "
            "settings: it does not take this token for one of its own",
        )
    return subject.warning(
        check,
        told,
        f"clients will see the gateway's words; set issuers.{name}.profile (and profile_version, "
        "auth_header_types) to the package that the upstream uses, or let it word errors as that "
        "package does",
    )


_EXPIRED = "an expired token"


def _cases(name: str, config: IssuerConfig, *, is_required: bool) -> Iterator[_Case]:
    word = config.auth_header_types[0]
    if is_required:
        yield _Case("no token", None)
    yield _Case("a token that is none", f"{word} {_NOBODY}")
    if config.signing_key is not None:
        yield _Case(_EXPIRED, f"{word} {_expired_token(name, config)}")


def _expired_token(name: str, config: IssuerConfig) -> str:
    """A token in the issuer's own form that is good for nothing."""
    issuer = _issuer(name, config, time.time)
    claims = {"username": _NOBODY, "email": "", "user_id": "0"}
    nobody = Identity(issuer=name, user_id="0", expires_at=0.0, claims=claims)
    return issuer.mint(nobody, lifetime=_LIFE, now=time.time() - _AGO)


class _Voice:
    """What the gateway answers for one issuer."""

    def __init__(self, name: str, config: IssuerConfig) -> None:
        self._profiles = Profiles({name: config})
        self._header = config.auth_header_name.lower().encode()
        self._authenticator = Authenticator(
            [_issuer(name, config, time.time)], self._profiles, wall=time.time, capacity=1
        )

    def answer(self, case: _Case) -> Answer | None:
        """None where the gateway would not refuse."""
        headers = [(b"accept", b"application/json")]
        if case.value is not None:
            headers.append((self._header, case.value.encode()))
        head = RequestHead(method="GET", target=b"/", path=b"/", query=b"", headers=headers)
        try:
            if self._authenticator.authenticate(head) is not None:
                return None
            error = self._authenticator.missing()
        except AuthenticationFailed as refused:
            error = refused
        return self._profiles.render(error, head)

    def says(self, case: _Case, seen: Seen) -> bool:
        """Whether the upstream's answer is the gateway's, in all that clients read."""
        answer = self.answer(case)
        if answer is None or answer.status != seen.status:
            return False
        ours = dict(answer.headers)
        return _meaning(answer.body) == _meaning(seen.body) and all(
            _field(ours, name) == seen.header(name) for name in _READ
        )

    def contrast(self, case: _Case, seen: Seen) -> str:
        """What the upstream says, and what the gateway does: as much as tells them apart."""
        answer = self.answer(case)
        if answer is None:
            return f"the upstream answers {seen.status}, the gateway lets it pass"
        if answer.status != seen.status or _meaning(answer.body) != _meaning(seen.body):
            theirs = _shown(seen.status, seen.body, case)
            own = _shown(answer.status, answer.body, case)
            return f"the upstream answers {theirs}, the gateway {own}"
        ours = dict(answer.headers)
        name = next(name for name in _READ if _field(ours, name) != seen.header(name))
        return (
            f"the upstream says {name}: {seen.header(name) or 'nothing'}, "
            f"the gateway {_field(ours, name) or 'nothing'}"
        )


def _issuer(name: str, config: IssuerConfig, wall: Callable[[], float]) -> Issuer:
    return Issuer(name, config, keys=load_keys(config, name=name), source=None, wall=wall)


def _as(config: IssuerConfig, profile: str, version: str) -> IssuerConfig | None:
    """The same issuer under another profile; None where that is the one it has."""
    if (config.profile, config.profile_version) == (profile, version):
        return None
    return config.model_copy(update={"profile": profile, "profile_version": version})


def _field(headers: Mapping[bytes, bytes], name: str) -> str:
    return headers.get(name.encode(), b"").decode("latin-1")


def _meaning(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _shown(status: int, body: bytes, case: _Case) -> str:
    """The answer in short, without the token: a view may repeat what it was sent."""
    if status not in (401, 403):
        return str(status)  # what a view has told is nobody's business
    text = " ".join(body.decode(errors="replace").split())
    for part in (case.value or "").split(" ")[1:]:
        text = text.replace(part, "***")
    return f"{status} {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}"
