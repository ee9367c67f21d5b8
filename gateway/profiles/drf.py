"""What the packages inherit from Django REST framework: its negotiation and its own wordings."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from gateway.errors import AuthenticationFailed, Flaw, GatewayError
from gateway.profiles.answer import Answer, json_answer
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


class DrfProfile(ABC):
    """The common part of the three packages' profiles."""

    def __init__(self, *, issuer: str, types: tuple[str, ...]) -> None:
        self._issuer = issuer
        self._challenge = (b"www-authenticate", f'{types[0]} realm="api"'.encode())

    def render(self, error: GatewayError, *, accept: bytes | None, query: bytes) -> Answer:
        negotiated = negotiate(accept, query)
        if negotiated.failure is not None:
            return json_answer(
                negotiated.failure, {"detail": _WORDINGS[negotiated.failure]}, headers=(_VARY,)
            )
        status, content = self._status(error), self._content(error)
        return json_answer(
            status,
            content,
            indent=negotiated.indent,
            headers=(self._challenge, _VARY) if status == 401 else (_VARY,),
            retry_after=error.retry_after,
        )

    def _status(self, error: GatewayError) -> int:
        return error.status

    def _content(self, error: GatewayError) -> Mapping[str, Any]:
        if isinstance(error, AuthenticationFailed) and error.flaw is not Flaw.MISSING:
            return self._refusal(error.flaw)
        wording = _WORDINGS.get(error.status)
        if wording is None:
            text = sentence(error)
            wording = f"{text[0].upper()}{text[1:]}."
        return {"detail": wording}

    @abstractmethod
    def _refusal(self, flaw: Flaw) -> Mapping[str, Any]:
        """What the package says to a bad token."""
        ...
