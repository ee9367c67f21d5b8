"""Errors as `application/problem+json` (RFC 9457), for plain JWT and where no issuer is concerned.

`code` is the error's stable reason. With a challenge, 401 and 403 carry WWW-Authenticate as
RFC 6750 §3 words it: no error code where no token came.
"""

from http import HTTPStatus

from gateway.errors import (
    AuthenticationFailed,
    BodyInvalid,
    ClaimsUnmet,
    FieldInvalid,
    Flaw,
    GatewayError,
    GivenTokenRefused,
)
from gateway.profiles.answer import Answer, Content, json_answer

_EXPLAINED = {
    Flaw.MISSING: "authentication credentials were not provided",
    Flaw.HEADER_EMPTY: "the authentication header has no token",
    Flaw.HEADER_PARTS: "the authentication header has more parts than a token",
    Flaw.EXPIRED: "the token has expired",
    Flaw.NO_EXPIRY: "the token has no exp claim",
    Flaw.NO_ID: "the token has no id",
    Flaw.NO_TYPE: "the token has no type",
    Flaw.WRONG_TYPE: "the token is not an access token",
    Flaw.NO_USER: "the token names no user",
    Flaw.REVOKED: "the token has been revoked",
    Flaw.NO_ORIGIN: "the token has no orig_iat claim",
    Flaw.NO_REFRESH_EXPIRY: "the token has no refresh_exp claim",
    Flaw.REFRESH_EXPIRED: "the token can't be refreshed any more",
    Flaw.NO_ACCOUNT: "there is no active account for the token",
}
_OTHERWISE = "the token is not valid"


class Problem:
    """The one form for all errors without an issuer."""

    def render(
        self, error: GatewayError, *, accept: bytes | None = None, query: bytes = b""
    ) -> Answer:
        return self._answer(error)

    def _answer(self, error: GatewayError, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        return json_answer(
            error.status,
            {
                "type": "about:blank",
                "title": HTTPStatus(error.status).phrase,
                "status": error.status,
                "detail": sentence(error),
                "code": error.reason,
            },
            content_type=b"application/problem+json",
            headers=headers,
            retry_after=error.retry_after,
        )


class PlainJwt(Problem):
    """Tokens by RFC 6750 and 7519, with no package behind them."""

    def __init__(self, *, issuer: str, types: tuple[str, ...]) -> None:
        self._issuer = issuer
        self._types = frozenset(word.lower().encode() for word in types)
        self._challenge = f'{types[0]} realm="api"'

    def credentials(self, value: bytes) -> bytes | None:
        parts = value.split()
        if not parts or parts[0].lower() not in self._types:  # RFC 9110 §11.1
            return None
        if len(parts) != 2:
            flaw = Flaw.HEADER_EMPTY if len(parts) == 1 else Flaw.HEADER_PARTS
            raise AuthenticationFailed(flaw, issuer=self._issuer)
        return parts[1]

    def render(
        self, error: GatewayError, *, accept: bytes | None = None, query: bytes = b""
    ) -> Answer:
        challenge = self._challenge
        if isinstance(error, ClaimsUnmet):
            challenge += ', error="insufficient_scope"'
        elif not isinstance(error, AuthenticationFailed | GivenTokenRefused):
            return self._answer(error)
        elif error.flaw in (Flaw.HEADER_EMPTY, Flaw.HEADER_PARTS):
            challenge += ', error="invalid_request"'
        elif error.flaw is not Flaw.MISSING:
            challenge += f', error="invalid_token", error_description="{sentence(error)}"'
        return self._answer(error, ((b"www-authenticate", challenge.encode()),))

    def content(
        self, content: Content, *, accept: bytes | None = None, query: bytes = b""
    ) -> Answer:
        return json_answer(content.status, content.content)

    def unacceptable(self, *, accept: bytes | None, query: bytes) -> Answer | None:
        return None  # JSON is all there is


def sentence(error: GatewayError) -> str:
    """The error in words, for people."""
    if isinstance(error, GivenTokenRefused) and error.flaw is Flaw.WRONG_TYPE:
        return "the token is of the wrong type"
    if isinstance(error, AuthenticationFailed | GivenTokenRefused):
        return _EXPLAINED.get(error.flaw, _OTHERWISE)
    if isinstance(error, FieldInvalid):
        return f"{error.field}: {error.wording}" if error.field else error.wording
    if isinstance(error, BodyInvalid):
        return error.wording
    return str(error)
