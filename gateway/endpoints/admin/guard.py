"""Who may use the admin API: whoever has the token. Without one in the configuration, nobody."""

import hmac
import math
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config import Secret
from gateway.endpoints.admin.attempts import Attempts
from gateway.endpoints.admin.problems import ApiProblem, problem
from gateway.telemetry.admin_metrics import AdminMetrics

CHALLENGE = 'Bearer realm="gateway admin"'


class Guard:
    """Stands before an application; `token()` is the one in force, None where the API is off."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: Callable[[], Secret | None],
        attempts: Attempts,
        metrics: AdminMetrics,
    ) -> None:
        self._app = app
        self._token = token
        self._attempts = attempts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = self._token()
        if token is None:
            await problem(off())(scope, receive, send)
            return
        client = scope.get("client")
        refusal = self._refusal(
            token, Headers(scope=scope).getlist("authorization"), peer=client[0] if client else ""
        )
        if refusal is None:
            await self._app(scope, receive, send)
            return
        self._metrics.denied(refusal.code)
        await problem(refusal)(scope, receive, send)

    def _refusal(self, token: Secret, given: list[str], *, peer: str) -> ApiProblem | None:
        if not given:
            return _refused("a token is needed: Authorization: Bearer …", code="token_missing")
        wait = math.ceil(self._attempts.wait(peer))
        if wait:
            return ApiProblem(
                f"too many wrong tokens came from {peer}: try again in {wait} s",
                status=429,
                code="rate_limited",
                headers={"retry-after": str(wait)},
            )
        scheme, _, text = given[0].partition(" ")
        # Compared as a whole, whatever it is: how long that takes tells nothing of the token.
        is_right = hmac.compare_digest(text.strip().encode(), token.reveal().encode())
        if len(given) == 1 and scheme.lower() == "bearer" and is_right:
            return None
        self._attempts.failed(peer)
        return _refused("this is not the token", code="token_invalid")


def off() -> ApiProblem:
    """What is answered where nobody may."""
    told = "the admin API and the dashboard are off: admin.token is not set"
    return ApiProblem(told, status=404, code="admin_off")


def _refused(detail: str, *, code: str) -> ApiProblem:
    return ApiProblem(detail, status=401, code=code, headers={"www-authenticate": CHALLENGE})
