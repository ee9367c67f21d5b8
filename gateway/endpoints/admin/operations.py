"""An operation of the admin API: what its route and its part of the OpenAPI document are made of.

Rule: whatever is asked in the query is asked by name, and once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from gateway.endpoints.admin import answers
from gateway.endpoints.admin.problems import ApiProblem

Handler = Callable[[Any, Request], Awaitable[answers.Answer]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One in the path where the path names it, else in the query."""

    name: str
    about: str
    is_required: bool = True
    kind: str = "string"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `codes` are the problems it may answer beside those of all.

    `handler` is a method of the API.
    """

    method: str
    path: str
    summary: str
    answer: type[answers.Answer]
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    codes: tuple[tuple[int, str], ...] = ()

    @property
    def told_path(self) -> str:
        """As OpenAPI writes it."""
        return self.path.replace(":path}", "}")


ISSUER = Parameter("issuer", "The issuer's name in the configuration.")
USER = Parameter("user", "The user's id, as tokens have it.")
SESSION = Parameter("session", "The session's id, as it is listed.")
DRY_RUN = Parameter("dry_run", "true: only tell what would change.", False, "boolean")
_OF_USER = ((400, "parameter_invalid"), (404, "issuer_unknown"))
IN_STORE = (*_OF_USER, (503, "store_unavailable"), (503, "no_worker"))


def asked(request: Request, parameter: Parameter) -> str:
    """What the query says; raises ApiProblem for none, and for several."""
    given = request.query_params.getlist(parameter.name)
    if len(given) != 1:
        told = f"the query must name one {parameter.name}"
        raise ApiProblem(told, status=400, code="parameter_invalid")
    return given[0]


def is_asked(request: Request, parameter: Parameter) -> bool:
    given = request.query_params.getlist(parameter.name) or ["false"]
    if given not in (["true"], ["false"]):
        told = f"{parameter.name} is true or false"
        raise ApiProblem(told, status=400, code="parameter_invalid")
    return given == ["true"]
