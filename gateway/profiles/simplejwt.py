"""djangorestframework-simplejwt: recorded from 5.5.1, and from 5.2.2 for 5.4 and older."""

from gateway.errors import AuthenticationFailed, Flaw
from gateway.profiles.answer import Content
from gateway.profiles.drf import DrfProfile, not_valid

_MESSAGES = {
    Flaw.NO_EXPIRY: "Token has no 'exp' claim",
    Flaw.NO_ID: "Token has no id",
    Flaw.NO_TYPE: "Token has no type",
    Flaw.WRONG_TYPE: "Token has wrong type",
    Flaw.REVOKED: "Token is blacklisted",
    Flaw.NO_REFRESH_EXPIRY: "Token has no 'refresh_exp' claim",
    Flaw.REFRESH_EXPIRED: "Token 'refresh_exp' claim has expired",
}
_TOKEN_TYPES = {"AccessToken": "access", "SlidingToken": "sliding"}


class SimpleJwt(DrfProfile):
    """`tells_expiry` is whether this release words expired and invalid tokens apart.

    `classes` are its AUTH_TOKEN_CLASSES, by each of which the API judges a token.
    """

    def __init__(
        self,
        *,
        issuer: str,
        types: tuple[str, ...],
        classes: tuple[str, ...] = ("AccessToken",),
        tells_expiry: bool,
    ) -> None:
        super().__init__(issuer=issuer, types=types)
        self._classes = classes
        self._types = frozenset(word.encode() for word in types)
        self._invalid = "Token is invalid" if tells_expiry else "Token is invalid or expired"
        self._expired = "Token is expired" if tells_expiry else self._invalid

    def credentials(self, value: bytes) -> bytes | None:
        parts = value.split()
        if not parts or parts[0] not in self._types:
            return None
        if len(parts) != 2:
            flaw = Flaw.HEADER_EMPTY if len(parts) == 1 else Flaw.HEADER_PARTS
            raise AuthenticationFailed(flaw, issuer=self._issuer)
        return parts[1]

    def _refusal(self, flaw: Flaw) -> Content:
        if flaw in (Flaw.HEADER_EMPTY, Flaw.HEADER_PARTS):
            return Content(
                401,
                {
                    "detail": "Authorization header must contain two space-delimited values",
                    "code": "bad_authorization_header",
                },
            )
        if flaw is Flaw.NO_USER:
            return _token_not_valid("Token contained no recognizable user identification")
        message = self._message(flaw)
        refusal = _token_not_valid("Given token not valid for any token type")
        messages = [
            {"token_class": name, "token_type": _TOKEN_TYPES[name], "message": message}
            for name in self._classes
        ]
        return Content(401, {**refusal.content, "messages": messages})

    def _given(self, flaw: Flaw, endpoint: str) -> Content:
        if flaw is Flaw.NO_ACCOUNT:
            return Content(401, {"detail": "No active account found for the given token."})
        message = self._message(flaw)
        if flaw is Flaw.REVOKED and endpoint == "verify":
            return not_valid(message)
        return _token_not_valid(message)

    def _message(self, flaw: Flaw) -> str:
        return self._expired if flaw is Flaw.EXPIRED else _MESSAGES.get(flaw, self._invalid)


def _token_not_valid(detail: str) -> Content:
    return Content(401, {"detail": detail, "code": "token_not_valid"})
