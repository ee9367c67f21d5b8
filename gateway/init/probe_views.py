"""The views of a Django project, as `probe.py` tells them: their paths, and who they let in.

Rules
- Standard library and Python 3.8 alone, as there.
- What can't be told for certain is told as `optional`: the app then decides by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SIMPLEJWT, JWT = "rest_framework_simplejwt", "rest_framework_jwt"
TOKEN_VIEWS = {
    "TokenObtainPairView": "obtain",
    "TokenObtainSlidingView": "obtain_sliding",
    "TokenRefreshView": "refresh",
    "TokenRefreshSlidingView": "refresh_sliding",
    "TokenVerifyView": "verify",
    "TokenBlacklistView": "blacklist",
    "ObtainJSONWebToken": "obtain",
    "ObtainJSONWebTokenView": "obtain",
    "RefreshJSONWebToken": "refresh",
    "RefreshJSONWebTokenView": "refresh",
    "VerifyJSONWebToken": "verify",
    "VerifyJSONWebTokenView": "verify",
    "BlacklistView": "blacklist",
}
# How a pattern goes on behind its literal beginning: not at all, with a slash or without it, with
# whatever the client likes (a regular expression without its `$`), with more that is asked for.
WHOLE, EITHER, UNBOUND, OPEN = "whole", "either", "unbound", "open"
# A view with one of these of its own may ask, or refuse, in a way of its own.
WAYS = (
    "dispatch initial initialize_request get_authenticators get_permissions check_permissions"
    " perform_authentication permission_denied handle_exception get_exception_handler"
    " get_authenticate_header"
).split()


def patterns(resolver: Any, prefix: str = "", is_open: bool = False) -> Iterator[dict[str, Any]]:
    """Every view of the URLconf with the literal beginning of its path.

    `is_open`: something follows that beginning, such as a number.
    """
    for entry in resolver.url_patterns:
        for literal, ending in beginnings(entry.pattern):
            path = prefix if is_open else prefix + literal
            below = is_open or ending == OPEN
            if hasattr(entry, "url_patterns"):
                yield from patterns(entry, path, below)
                continue
            facts = view_facts(entry.callback)
            facts.update(path="/" + path, is_open=below, is_either=ending == EITHER)
            yield facts
            if ending == UNBOUND and not below:
                yield {**facts, "is_open": True, "token": None}


def beginnings(pattern: Any) -> list[tuple[str, str]]:
    """The literal texts that a pattern may begin with, and what follows."""
    from django.conf import settings

    if hasattr(pattern, "prefix_default_language"):  # i18n_patterns
        default, is_said = settings.LANGUAGE_CODE, pattern.prefix_default_language
        codes = [code for code, _ in settings.LANGUAGES if is_said or code != default]
        codes.sort(key=lambda code: code not in (default, default.partition("-")[0]))
        if not is_said:
            codes.insert(0, "")
        return [(code + "/" if code else "", WHOLE) for code in codes]
    if hasattr(pattern, "_route"):
        route = str(pattern._route)
        return [(route.partition("<")[0], OPEN if "<" in route else WHOLE)]
    return [of_regex(str(pattern._regex))]


def of_regex(regex: str) -> tuple[str, str]:
    rest = regex[1:] if regex.startswith("^") else regex
    literal = ""
    while True:
        found = re.match(r"\\([^A-Za-z0-9])|([A-Za-z0-9_/@~:,;=!&% -])", rest)
        if not found or re.match(r"[*+?{]", rest[found.end() :]):
            break
        literal += found.group(1) or found.group(2)
        rest = rest[found.end() :]
    if rest in ("/?$", r"/?\Z", "/?"):
        return literal + "/", EITHER
    if rest in ("", "$", r"\Z"):
        return literal, WHOLE if rest else UNBOUND
    return literal, OPEN


def view_facts(callback: Any) -> dict[str, Any]:
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    made_with = getattr(callback, "initkwargs", None) or {}
    found: dict[str, Any] = {"auth": "none", "takes_tokens_of": None, "token": None}
    if isinstance(view, type):
        found["token"] = token_view(view, made_with)
        if found["token"] is None:
            found["auth"], found["takes_tokens_of"] = auth_of(view, made_with)
    return found


def auth_of(view: Any, made_with: dict[str, Any]) -> tuple[str, str | None]:
    """What the gateway may ask before this view: required only where the view itself would."""
    from rest_framework.permissions import IsAdminUser, IsAuthenticated
    from rest_framework.views import APIView

    if not issubclass(view, APIView):
        return "none", None  # a plain Django view reads cookies
    readers = list(made_with.get("authentication_classes", view.authentication_classes))
    asked = list(made_with.get("permission_classes", view.permission_classes))
    is_usual = all(is_of_package(getattr(view, name), "rest_framework") for name in WAYS)
    package = next((name for name in map(package_of, readers) if name), None)
    if package is None:
        return "none" if is_usual else "optional", None
    demands = {IsAuthenticated.has_permission, IsAdminUser.has_permission}
    is_demanded = any(getattr(one, "has_permission", None) in demands for one in asked)
    is_known = all(getattr(one, "__module__", "") == package + ".authentication" for one in readers)
    return "required" if is_usual and is_demanded and is_known else "optional", package


def package_of(reader: Any) -> str | None:
    """The package whose tokens this authentication class reads."""
    for base in getattr(reader, "__mro__", ()):
        package = base.__module__.partition(".")[0]
        if package in (SIMPLEJWT, JWT):
            return str(package)
    return None


def is_of_package(function: Any, package: str) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == package


def token_view(view: Any, made_with: dict[str, Any]) -> dict[str, Any] | None:
    """Which token view of a package this is, and whether it answers just as the package's."""
    for base in view.__mro__:
        package = base.__module__.partition(".")[0]
        if package in (SIMPLEJWT, JWT) and base.__name__ in TOKEN_VIEWS:
            return {
                "kind": TOKEN_VIEWS[base.__name__],
                "package": package,
                "is_as_packaged": answers_as(package, view, made_with),
                "is_throttled": bool(made_with.get("throttle_classes", view.throttle_classes)),
            }
    return None


def answers_as(package: str, view: Any, made_with: dict[str, Any]) -> bool:
    """Whether method and serializer are the package's own."""
    method = getattr(view, "post", None) or getattr(view, "create", None)
    ways = [getattr(view, name) for name in ("dispatch", "initial", "handle_exception")]
    if not any(is_of_package(method, name) for name in (package, "rest_framework")) or not all(
        is_of_package(way, "rest_framework") for way in ways
    ):
        return False
    try:
        serializer = view(**made_with).get_serializer_class()
    except Exception:  # noqa: BLE001 - whatever the project's own code raises, it is not usual
        return False
    return is_of_package(serializer, package)
