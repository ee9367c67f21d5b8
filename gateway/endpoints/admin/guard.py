"""Who may use the admin API: whoever has the token. Without one in the configuration, nobody."""

import hmac
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config import Secret
from gateway.endpoints.admin.problems import ApiProblem, problem

CHALLENGE = 'Bearer realm="gateway admin"'


class Guard:
    """Stands before an application; `token()` is the one in force, None where the API is off."""

    def __init__(self, app: ASGIApp, *, token: Callable[[], Secret | None]) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(Headers(scope=scope).getlist("authorization"))
        except ApiProblem as refusal:
            await problem(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, given: list[str]) -> None:
        token = self._token()
        if token is None:
            raise off()
        if not given:
            raise _refused("a token is needed: Authorization: Bearer …", code="token_missing")
        scheme, _, text = given[0].partition(" ")
        # Compared as a whole, whatever it is: how long that takes tells nothing of the token.
        is_right = hmac.compare_digest(text.strip().encode(), token.reveal().encode())
        if len(given) > 1 or scheme.lower() != "bearer" or not is_right:
            raise _refused("this is not the token", code="token_invalid")


def off() -> ApiProblem:
    """What is answered where nobody may."""
    told = "the admin API and the dashboard are off: admin.token is not set"
    return ApiProblem(told, status=404, code="admin_off")


def _refused(detail: str, *, code: str) -> ApiProblem:
    return ApiProblem(detail, status=401, code=code, headers={"www-authenticate": CHALLENGE})
