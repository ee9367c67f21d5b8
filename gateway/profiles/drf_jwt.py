"""drf-jwt (Styria): recorded from 1.19.2."""

from gateway.errors import Flaw
from gateway.profiles.answer import Content
from gateway.profiles.drf import DrfProfile, not_valid

_DETAILS = {
    Flaw.UNDECODABLE: "Error decoding token.",
    Flaw.EXPIRED: "Token has expired.",
    Flaw.NO_USER: "Invalid payload.",
    Flaw.REVOKED: "Token is blacklisted.",
}
_GIVEN = {
    Flaw.UNDECODABLE: "Error decoding token.",
    Flaw.EXPIRED: "Token has expired.",
    Flaw.REVOKED: "Token is blacklisted.",
    Flaw.NO_ORIGIN: "orig_iat field not found in token.",
    Flaw.REFRESH_EXPIRED: "Refresh has expired.",
    Flaw.NO_ACCOUNT: "User account is disabled.",
}


class DrfJwt(DrfProfile):
    """A header that is not exactly prefix, space, token counts as none at all."""

    def __init__(self, *, issuer: str, types: tuple[str, ...]) -> None:
        super().__init__(issuer=issuer, types=types)
        self._types = frozenset(word.lower() for word in types)

    def credentials(self, value: bytes) -> bytes | None:
        try:
            parts = value.decode().split(" ")
        except UnicodeDecodeError:
            return None
        if len(parts) != 2 or parts[0].lower() not in self._types:
            return None
        return parts[1].encode() or None

    def _refusal(self, flaw: Flaw) -> Content:
        status = 403 if flaw is Flaw.REVOKED else 401
        return Content(status, {"detail": _DETAILS.get(flaw, "Invalid token.")})

    def _given(self, flaw: Flaw, endpoint: str) -> Content:
        return not_valid(_GIVEN.get(flaw, "Invalid token."))
