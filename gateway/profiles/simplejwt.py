"""djangorestframework-simplejwt: recorded from 5.5.1, and from 5.2.2 for 5.4 and older."""

from collections.abc import Mapping
from typing import Any

from gateway.errors import AuthenticationFailed, Flaw
from gateway.profiles.drf import DrfProfile

_MESSAGES = {
    Flaw.NO_EXPIRY: "Token has no 'exp' claim",
    Flaw.NO_ID: "Token has no id",
    Flaw.NO_TYPE: "Token has no type",
    Flaw.WRONG_TYPE: "Token has wrong type",
    Flaw.REVOKED: "Token is blacklisted",
}


class SimpleJwt(DrfProfile):
    """`tells_expiry` is whether this release words expired and invalid tokens apart."""

    def __init__(self, *, issuer: str, types: tuple[str, ...], tells_expiry: bool) -> None:
        super().__init__(issuer=issuer, types=types)
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

    def _refusal(self, flaw: Flaw) -> Mapping[str, Any]:
        if flaw in (Flaw.HEADER_EMPTY, Flaw.HEADER_PARTS):
            return {
                "detail": "Authorization header must contain two space-delimited values",
                "code": "bad_authorization_header",
            }
        if flaw is Flaw.NO_USER:
            return {
                "detail": "Token contained no recognizable user identification",
                "code": "token_not_valid",
            }
        message = self._expired if flaw is Flaw.EXPIRED else _MESSAGES.get(flaw, self._invalid)
        return {
            "detail": "Given token not valid for any token type",
            "code": "token_not_valid",
            "messages": [
                {"token_class": "AccessToken", "token_type": "access", "message": message}
            ],
        }
