"""Which of the project's paths the gateway answers itself, and which auth the others have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.init.asking import InitError
from gateway.init.found import JWT, SIMPLEJWT, Signing
from gateway.init.routes import Line, is_writable, plan

KEYS = ("obtain", "refresh", "verify", "blacklist")


@dataclass(slots=True)
class Paths:
    """`endpoints` by key, None for those that are not there; the route table behind them."""

    endpoints: dict[str, str | None]
    routes: list[Line]
    warnings: list[str] = field(default_factory=list)


def package_of(facts: Mapping[str, Any]) -> str:
    """The package whose tokens the project uses; raises InitError for none."""
    views = facts["patterns"]
    for used in (
        [view["token"]["package"] for view in views if view["token"]],
        [view["takes_tokens_of"] for view in views if view["takes_tokens_of"]],
    ):
        for package in (SIMPLEJWT, JWT):
            if package in used and package in facts["packages"]:
                return package
    if not facts["packages"]:
        raise InitError(
            "neither djangorestframework-simplejwt nor drf-jwt is installed for this project"
        )
    raise InitError(
        f"no token views found: {facts['urlconf']} has none of the package's views for login, "
        "refresh and verify, and no view that takes its tokens"
    )


def paths_of(facts: Mapping[str, Any], package: str, signing: Signing) -> Paths:
    paths = Paths(endpoints=dict.fromkeys(KEYS), routes=[])
    views = facts["patterns"]
    mine = [view for view in views if view["token"] and view["token"]["package"] == package]
    left: dict[tuple[str, str], list[str]] = {}
    for view in mine:
        kind = view["token"]["kind"].partition("_")[0]
        why = _claim(paths, kind, view, signing)
        if why is not None:
            left.setdefault((kind, why), []).append(view["path"])
    for (kind, why), (first, *more) in left.items():
        where = f"{first} and {len(more)} more stay" if more else f"{first} stays"
        paths.warnings.append(f"{kind} at {where} the app's: {why}")
    others = {view["takes_tokens_of"] for view in views} | {
        view["token"]["package"] for view in views if view["token"]
    }
    if others - {None, package}:
        paths.warnings.append(
            f"two packages are in use: tokens of {', '.join(sorted(others - {None, package}))} "
            "are left to the app; give them an issuer of their own"
        )
    paths.routes = plan(_views(facts, package, signing))
    return paths


def _claim(paths: Paths, kind: str, view: Mapping[str, Any], signing: Signing) -> str | None:
    """Take a token view's path for the gateway, or say why it stays the app's."""
    token, path = view["token"], view["path"]
    is_sliding = token["kind"].endswith("_sliding")
    if kind in ("obtain", "refresh") and is_sliding != signing.is_sliding:
        return "AUTH_TOKEN_CLASSES says that its tokens are not the API's only ones"
    if view["is_open"] or not is_writable(path):
        return "its path varies"
    if kind == "refresh" and not signing.refreshes:
        return "JWT_ALLOW_REFRESH is off"
    if kind != "obtain" and not (token["is_as_packaged"] and signing.answers_alone):
        return "it is the project's own, or answers in a way of its own"
    if paths.endpoints[kind] is not None:
        return f"an issuer has one path for {kind}, which is {paths.endpoints[kind]}"
    paths.endpoints[kind] = path
    if view["is_either"]:
        paths.warnings.append(f"{path} is answered with its slash; without it, by a redirect")
    if token["is_throttled"] and kind != "obtain":
        paths.warnings.append(f"{path} has a throttle of the app's, which no longer sees {kind}")
    return None


def _views(
    facts: Mapping[str, Any], package: str, signing: Signing
) -> Sequence[tuple[str, bool, str]]:
    is_worded_so = is_worded_as_package(facts) and not signing.reads_cookie
    found = []
    for view in facts["patterns"]:
        auth = view["auth"]
        if view["token"] or view["takes_tokens_of"] not in (None, package):
            auth = "none"  # token views judge for themselves; foreign tokens are not ours to judge
        elif auth == "required" and not is_worded_so:
            auth = "optional"
        found.append((view["path"], view["is_open"], auth))
    for url in facts["files"]:
        if url.startswith("/") and url != "/":
            found.append((url if url.endswith("/") else f"{url}/", True, "none"))
    return found


def is_worded_as_package(facts: Mapping[str, Any]) -> bool:
    """Whether the app's 401 is the package's own, in English."""
    is_english = facts["language"].lower().startswith("en") and (
        "django.middleware.locale.LocaleMiddleware" not in facts["middleware"]
    )
    return is_english and not facts["words_errors_itself"]
