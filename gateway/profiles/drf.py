"""What the packages inherit from Django REST framework: its negotiation and its own wordings."""

from abc import ABC, abstractmethod

from gateway.errors import (
    AuthenticationFailed,
    BodyInvalid,
    FieldInvalid,
    Flaw,
    GatewayError,
    GivenTokenRefused,
    MethodNotAllowed,
    RateLimited,
)
from gateway.profiles.answer import Answer, Content, json_answer
from gateway.profiles.negotiation import negotiate
from gateway.profiles.problem import sentence

_WORDINGS = {
    401: "Authentication credentials were not provided.",
    403: "You do not have permission to perform this action.",
    404: "Not found.",
    406: "Could not satisfy the request Accept header.",
    500: "A server error occurred.",
    503: "Service temporarily unavailable, try again later.",
}
_VARY = (b"vary", b"Accept")
_WHOLE = "non_field_errors"  # the field of what concerns no single field


class DrfProfile(ABC):
    """The common part of the three packages' profiles."""

    def __init__(self, *, issuer: str, types: tuple[str, ...]) -> None:
        self._issuer = issuer
        self._challenge = (b"www-authenticate", f'{types[0]} realm="api"'.encode())

    def render(self, error: GatewayError, *, accept: bytes | None, query: bytes) -> Answer:
        return self._written(self._worded(error), accept, query, retry_after=error.retry_after)

    def content(self, content: Content, *, accept: bytes | None, query: bytes) -> Answer:
        return self._written(content, accept, query)

    def unacceptable(self, *, accept: bytes | None, query: bytes) -> Answer | None:
        failure = negotiate(accept, query).failure
        return None if failure is None else _unacceptable(failure)

    def _written(
        self,
        said: Content,
        accept: bytes | None,
        query: bytes,
        *,
        retry_after: int | None = None,
    ) -> Answer:
        negotiated = negotiate(accept, query)
        if negotiated.failure is not None:
            return _unacceptable(negotiated.failure)
        return json_answer(
            said.status,
            said.content,
            indent=negotiated.indent,
            headers=(self._challenge, _VARY) if said.status == 401 else (_VARY,),
            retry_after=retry_after,
        )

    def _worded(self, error: GatewayError) -> Content:
        if isinstance(error, AuthenticationFailed) and error.flaw is not Flaw.MISSING:
            return self._refusal(error.flaw)
        if isinstance(error, GivenTokenRefused):
            return self._given(error.flaw, error.endpoint)
        if isinstance(error, FieldInvalid):
            return Content(error.status, {error.field or _WHOLE: [error.wording]})
        return Content(error.status, {"detail": _detail(error)})

    @abstractmethod
    def _refusal(self, flaw: Flaw) -> Content:
        """What the package says to a bad token in the authentication header."""
        ...

    @abstractmethod
    def _given(self, flaw: Flaw, endpoint: str) -> Content:
        """What it says to a bad token in the body of a request to one of its own endpoints."""
        ...


def not_valid(wording: str) -> Content:
    """How a serializer refuses a body whose fields are right one by one."""
    return Content(400, {_WHOLE: [wording]})


def _detail(error: GatewayError) -> str:
    if isinstance(error, BodyInvalid):
        return error.wording
    if isinstance(error, MethodNotAllowed):
        return f'Method "{error.method}" not allowed.'
    if isinstance(error, RateLimited):
        unit = "second" if error.retry_after == 1 else "seconds"
        return f"Request was throttled. Expected available in {error.retry_after} {unit}."
    wording = _WORDINGS.get(error.status)
    if wording is not None:
        return wording
    text = sentence(error)
    return f"{text[0].upper()}{text[1:]}."


def _unacceptable(status: int) -> Answer:
    return json_answer(status, {"detail": _WORDINGS[status]}, headers=(_VARY,))
