"""Errors of the admin API as `application/problem+json` (RFC 9457), with a stable `code`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# No answer of this API is anybody's but who asked for it just now.
PRIVATE: Mapping[str, str] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class ApiProblem(Exception):
    """What can't be done; `lines` say more where one sentence is not enough."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str,
        lines: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.lines = lines
        self.headers = headers or {}


def problem(error: ApiProblem) -> Response:
    phrase = HTTPStatus(error.status).phrase
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
    }
    if error.lines:
        content["lines"] = list(error.lines)
    return JSONResponse(
        content,
        status_code=error.status,
        headers={**PRIVATE, **error.headers},
        media_type="application/problem+json",
    )


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblem), error
    return problem(error)


async def on_http(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: no such path, or not by this method."""
    assert isinstance(error, HTTPException), error
    code = {404: "not_found", 405: "method_refused"}.get(error.status_code, "refused")
    found = ApiProblem(error.detail, status=error.status_code, code=code, headers=error.headers)
    return problem(found)


async def on_defect(request: Request, error: Exception) -> Response:
    """The server logs it with its trace; who asked learns no more than that."""
    return problem(ApiProblem("the gateway failed", status=500, code="gateway_failed"))
