"""Which header fields a server believes: forged identities, and names with underscores.

Rules
- A field is believed where a view that refuses without it answers otherwise with it.
- Whether underscores are accepted shows only in a field that has an effect under its own name;
  where none has one, that is said.
"""

import re
from collections.abc import Iterator, Mapping

from gateway.doctor.finding import Check, Finding
from gateway.doctor.login import LoginPage
from gateway.doctor.plan import CheckedServer, Guarded
from gateway.doctor.probe import Seen, Unanswered

_NAME = "gateway-doctor"  # the user that is pretended
# What authenticating proxies set, and apps behind them read.
_USUAL = (
    *("Remote-User", "X-Remote-User", "X-Forwarded-User", "X-Auth-Request-User", "X-User"),
    *("X-User-Id", "X-Authenticated-User", "X-Forwarded-Email"),
)
# The form of a field was refused, or there were too many requests.
_SAYS_NOTHING = (400, 429, 503)
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")

_ONE_SPELLING = (
    "let the server drop them: gunicorn --header-map drop, its default since 22; one that can't "
    "needs a proxy before it that does"
)


async def forged_identity(server: CheckedServer) -> tuple[Finding, dict[str, str]]:
    """The finding, and the fields that the server believes."""
    check, subject, settings = Check.FORGED_IDENTITY, server.subject, server.plan.settings
    view = next(iter(server.guarded), None)
    if view is None:
        return subject.unknown(check, "no path that refuses without a token", _name_a_path()), {}
    declared = dict(_forged(settings.identity_headers))
    if declared:
        change = await _changed(server, view, declared)
        if change is None:
            return subject.unknown(
                check,
                f"GET {view.path} refuses user 1 and user {_NAME}, told by "
                f"{', '.join(declared)}, as it refuses nobody; it may know neither",
            ), {}
        return _believed(server, view, declared, change), declared
    usual = {name: _value(name) for name in (*_USUAL, *server.plan.forgeable)}
    change = await _changed(server, view, usual)
    if change is None:
        return subject.ok(
            check,
            f"GET {view.path} refuses user 1 and user {_NAME}, told by {', '.join(usual)}, as it "
            "refuses nobody",
        ), {}
    believed = {
        name: value for name, value in usual.items() if await _changed(server, view, {name: value})
    }
    names = ", ".join(believed or usual)
    return subject.error(
        check,
        f"GET {view.path} answers {change} {names}; the gateway "
        "passes these on, so any client may be anybody",
        f"let the app stop reading {names}; or, where it is meant to: identity: headers with "
        "identity_headers that name it, which takes away what clients send",
    ), believed or usual


def _believed(
    server: CheckedServer, view: Guarded, declared: Mapping[str, str], change: str
) -> Finding:
    """The app reads what the gateway says, as is meant: all hangs on who else can say it."""
    check, subject, address = Check.FORGED_IDENTITY, server.subject, server.probe.address
    told = f"GET {view.path} answers {change} {', '.join(declared)}"
    if address.path is not None:
        return subject.info(
            check,
            f"{told}, as identity: headers has it: whoever may open the socket may be anybody",
            "let the gateway's user alone open it (gunicorn --umask 007)",
        )
    remedy = (
        "put the server on a unix socket, or take identity: mint, whose tokens the app can verify"
    )
    if server.is_exposed:
        return subject.error(
            check, f"{told}, and others can reach it: past the gateway anybody is anybody", remedy
        )
    return subject.warning(
        check, f"{told}: every process of this machine that reaches it may be anybody", remedy
    )


async def underscores(
    server: CheckedServer, *, believed: Mapping[str, str], login: LoginPage | None
) -> Finding:
    """What becomes of a field whose name has underscores, such as X_User_Id."""
    check, subject, probe = Check.UNDERSCORE_HEADERS, server.subject, server.probe
    path = server.plan.first_path
    plain = await probe.ask("GET", path)
    marked = await probe.ask("GET", path, {"X_Gateway_Doctor": "1"})
    if marked.status == 400 != plain.status:
        return subject.ok(check, "a request with an underscore in a header's name is answered 400")
    view = next(iter(server.guarded), None)
    if believed and view is not None:
        spelled = {name.replace("-", "_"): value for name, value in believed.items()}
        change = await _changed(server, view, spelled)
        if change is not None:
            told = f"GET {view.path} answers {change} {', '.join(spelled)}"
            return subject.error(check, told, _ONE_SPELLING)
        return subject.ok(check, f"{', '.join(spelled)} has no effect, and with dashes it has one")
    if login is None:
        return subject.unknown(
            check,
            "no field has an effect here that could show whether its other spelling has one, too "
            "(a login page under /admin/login/ would do)",
            _ONE_SPELLING,
        )
    return await _underscored_csrf(server, login)


async def _underscored_csrf(server: CheckedServer, login: LoginPage) -> Finding:
    """Django reads its CSRF token from X-CSRFToken, or from X_CSRFToken where that gets through."""
    check, subject = Check.UNDERSCORE_HEADERS, server.subject
    if await login.refuses("X-CSRFToken") or not await login.refuses(None):
        return subject.unknown(
            check, f"{login.path} does not take its CSRF token from X-CSRFToken alone"
        )
    if await login.refuses("X_CSRFToken"):
        return subject.ok(check, f"POST {login.path} takes X-CSRFToken, and not X_CSRFToken")
    say = subject.error if server.plan.settings.identity == "headers" else subject.warning
    return say(
        check,
        f"POST {login.path} takes X_CSRFToken for X-CSRFToken: Django can't tell a header from "
        "another one that is spelled with underscores",
        _ONE_SPELLING,
    )


async def _changed(server: CheckedServer, view: Guarded, fields: Mapping[str, str]) -> str | None:
    """The statuses without and with these fields, where they change what the view answers."""
    try:
        seen = await server.ask(view.path, fields)
        if seen.status in _SAYS_NOTHING:
            return None
        if _told(seen) == _told(view.refusal):
            return None
        again = await server.ask(view.path)  # a refusal that is never the same proves nothing
    except Unanswered:
        return None
    if seen.status == again.status and _told(again) != _told(view.refusal):
        return None
    return f"{again.status} without and {seen.status} with"


def _told(seen: Seen) -> tuple[int, bytes]:
    return seen.status, seen.body if seen.status in (401, 403) else b""


def _forged(templates: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, template in templates.items():
        yield name, _PLACEHOLDER.sub(lambda found: _value(found[1]), template)


def _value(name: str) -> str:
    """A likely value: user 1 where an id is asked for, else a name that nobody has."""
    folded = name.lower()
    if folded.endswith("id") or folded in ("sub", "pk"):
        return "1"
    return f"{_NAME}@example.invalid" if "mail" in folded else _NAME


def _name_a_path() -> str:
    return "name one: gateway doctor --path /api/me/"
