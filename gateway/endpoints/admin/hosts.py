"""Under which names the admin listener is asked.

A page on the internet can have its own name point to the operator's loopback, and would then be of
one origin with what answers there (DNS rebinding). On loopback only who means it is answered.
"""

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config import AdminConfig, covers_host
from gateway.endpoints.admin.problems import ApiProblem, problem


class NamedRightly:
    """Stands before an application; `settings()` are those in force."""

    def __init__(self, app: ASGIApp, *, settings: Callable[[], AdminConfig]) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = Headers(scope=scope).get("host")
        if named is None or is_ours(named, self._settings()):  # every browser names one
            await self._app(scope, receive, send)
            return
        told = "the admin listener is not asked under this name: see admin.allowed_hosts"
        refusal = ApiProblem(told, status=421, code="host_refused")
        await problem(refusal)(scope, receive, send)


def is_ours(named: str, settings: AdminConfig) -> bool:
    """Whether a Host field names this listener; an address can't be anybody else's name for it."""
    allowed = settings.allowed_hosts
    if allowed is None and not _is_loopback(settings.host):
        return True
    try:
        name = (urlsplit(f"//{named}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name == "localhost" or _is_address(name):
        return True
    return any(covers_host(each, name) for each in allowed or ())


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
