"""The text of config.yaml: every line that is there says why, what is left out has its default."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.init.cross_origin import cors_section
from gateway.init.found import Signing
from gateway.init.paths import KEYS, Paths
from gateway.init.yaml_text import duration, entry, text, texts

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_USUAL_NAMES = ("username", "email")


@dataclass(frozen=True, slots=True)
class Answers:
    """All that a file is written from."""

    name: str
    module: str
    upstream: str
    facts: Mapping[str, Any]
    signing: Signing
    paths: Paths
    warnings: tuple[str, ...]


def document(answers: Answers) -> str:
    """The whole file."""
    return "\n".join([*_lines(answers), ""])


def _lines(answers: Answers) -> Iterator[str]:
    name = answers.name
    yield f"# The gateway before {name}, written by `gateway init` from {answers.module}."
    yield "# Check it with `gateway check`; see what would answer a request with"
    yield "# `gateway routes --explain GET http://localhost:8080/`."
    yield "# It names the variables that hold secrets, and never holds one itself."
    if answers.warnings:
        yield "#"
        yield "# To look at: what the gateway does in another way than the project, or can't tell."
        yield from (f"# - {line}" for line in answers.warnings)
    yield ""
    yield "server:"
    yield "  host: 127.0.0.1"
    yield "  port: 8080"
    yield "  # Whose X-Forwarded-* are believed: the address of nginx, where it stands in front."
    yield "  # trusted_proxies: [127.0.0.1]"
    yield ""
    yield "store:"
    yield "  # Sessions end with the process. To keep them: redis://127.0.0.1:6379/0"
    yield "  url: memory://"
    yield ""
    yield "issuers:"
    yield f"  {name}:"
    yield from (f"    {line}" for line in _issuer(answers))
    yield ""
    yield "upstreams:"
    yield f"  {name}:"
    yield "    # Where Gunicorn listens; unix:/run/app.sock for a socket."
    yield f"    servers: [{text(answers.upstream)}]"
    yield ""
    yield from _routes(answers)


def _issuer(answers: Answers) -> Iterator[str]:
    signing, facts = answers.signing, answers.facts
    yield entry("profile", signing.profile, f"answers as {signing.package} …")
    if signing.version:
        yield entry(
            "profile_version", f'"{_release(signing.version)}"', "… in this release's words"
        )
    yield entry("algorithm", signing.algorithm, "the only one that is accepted")
    yield from _keys(signing)
    if signing.audience:
        yield entry("audience", texts(signing.audience))
    if signing.issuer is not None:
        yield entry("issuer", text(signing.issuer))
    if signing.leeway:
        yield entry("leeway", duration(signing.leeway), "clock skew granted")
    for key, claim in signing.claims.items():
        yield entry(key, text(claim))
    yield entry("auth_header_types", texts(signing.header_types), "the words before a token")
    if signing.header != "Authorization":
        yield entry("auth_header_name", signing.header)
    if signing.token_classes != ("AccessToken",):
        yield entry("auth_token_classes", texts(list(signing.token_classes)))
    if "SlidingToken" in signing.token_classes:
        yield entry("sliding_token_lifetime", duration(signing.sliding_life))
    yield "# Keep both lifetimes equal to the project's: revocations are remembered as long."
    yield entry("access_token_lifetime", duration(signing.access_life))
    yield entry("refresh_token_lifetime", duration(signing.refresh_life))
    yield from _rotation(signing)
    field = facts["username_field"]
    if field not in _USUAL_NAMES:
        yield "# Failed logins are counted by this field, and by address; null: not counted."
        yield f"login_guard: {{username_fields: {texts([field])}}}"
    else:
        yield "# Ten failed logins in a minute bar a user name or an address for a while. Without:"
        yield "# login_guard: null"
    yield "# A path of the app that answers 401 to users who are gone, asked at each refresh:"
    yield "# check_user: /api/me/"
    yield from _endpoints(answers)


def _keys(signing: Signing) -> Iterator[str]:
    if signing.is_hmac:
        role = "secret" if "secret" in signing.keys else "signing"
        _, reference = _reference(signing, role)
        key = signing.keys.get(role)
        own = (
            "the project's SECRET_KEY"
            if key and key["is_secret_key"]
            else "what the app signs with"
        )
        yield entry("signing_key", reference, own)
        return
    if signing.jwk_url:
        yield entry("jwk_url", text(signing.jwk_url), "the public keys")
    else:
        yield entry("verifying_key", _reference(signing, "verifying")[1], "the public key, as PEM")
    yield "# The app refreshes, once for all who ask with one token. With its private key too the"
    yield "# gateway signs by itself:"
    yield f"# signing_key: {_reference(signing, 'signing')[1]}"


def _reference(signing: Signing, role: str) -> tuple[str, str]:
    """The variable that holds a key or names its file, and how the file refers to it."""
    key = signing.keys.get(role)
    if key and key["file"]:
        return key["file"], f'{{file: "${{{key["file"]}}}"}}'
    usual = "JWT_VERIFYING_KEY" if role == "verifying" else "JWT_SIGNING_KEY"
    if key and key["is_secret_key"]:
        usual = "DJANGO_SECRET_KEY"
    name = (key and key["variable"]) or usual
    return name, f"${{{name}}}"


def _rotation(signing: Signing) -> Iterator[str]:
    if signing.rotates:
        yield entry("rotate_refresh_tokens", "true", "a refresh gives the next refresh token")
        if signing.blacklists:
            yield entry("blacklist_after_rotation", "true", "a spent one ends its session")
            return
        yield "# true: who uses a spent token again ends the session, and with it a thief's."
        yield entry("blacklist_after_rotation", "false", "as the project has it")
        return
    yield "# true: each token refreshes once, and who uses a stolen one is noticed. Then the front"
    yield "# end must take the new token of each answer, which it need not do now."
    yield entry("rotate_refresh_tokens", "false", "as the project has it")


def _endpoints(answers: Answers) -> Iterator[str]:
    yield "# The paths that clients use today, which the gateway answers; null: it stays the app's."
    yield "endpoints:"
    hosts = allowed_hosts(answers.facts["allowed_hosts"])
    if hosts:
        yield f"  hosts: {texts(hosts)}  # the project's ALLOWED_HOSTS"
    paths = answers.paths.endpoints
    comments = {"obtain": "login: judged by the app"}
    if paths["blacklist"] is None:
        comments["blacklist"] = "a path makes a logout that counts"
    for key in KEYS:
        path = "null" if paths[key] is None else text(paths[key] or "")
        yield f"  {entry(key, path, comments.get(key, ''), width=40)}"


def _routes(answers: Answers) -> Iterator[str]:
    name = answers.name
    yield "# The first that matches wins; `=` is exactly that path, a path on / all below it."
    yield "#   required  all views there want a token: a request without never reaches the app"
    yield "#   optional  a bad token is refused, none at all is left to the app: for views that let"
    yield "#             anonymous users in, and wherever it is not certain what they want"
    yield "#   none      passed on untouched: admin, pages with cookies, files, token paths"
    cors = cors_section(answers.facts)
    if cors:
        yield "# `cors`: as django-cors-headers has it, for pages to read the gateway's own 401."
    yield "routes:"
    *lines, (rest, auth) = answers.paths.routes
    shared = f", cors: &pages {cors}" if cors else ""
    for path, kind in lines:
        yield f"  - {_route(path, kind, name, shared)}"
        shared = ", cors: *pages" if cors else ""
    sockets = ", websocket: true" if _has_sockets(answers.facts) else ""
    yield "  # Everything else, and whatever the project gets next:"
    yield f"  - {_route(rest, auth, name, shared + sockets)}"


def _route(path: str, auth: str, name: str, more: str = "") -> str:
    issuers = "" if auth == "none" else f", issuers: [{name}]"
    return f"{{path: {text(path)}, auth: {auth}{issuers}, upstream: {name}{more}}}"


def _has_sockets(facts: Mapping[str, Any]) -> bool:
    return bool({"channels", "daphne"} & set(facts["apps"]))


def allowed_hosts(named: list[str]) -> list[str]:
    """ALLOWED_HOSTS as the file writes host names; empty for all, or where it can't."""
    hosts: list[str] = []
    for host in named:
        plain = host.lower()
        written = [plain[1:], f"*{plain}"] if plain.startswith(".") else [plain]
        if not all(_HOST.fullmatch(one) for one in written):
            return []
        hosts += written
    return list(dict.fromkeys(hosts))


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])
