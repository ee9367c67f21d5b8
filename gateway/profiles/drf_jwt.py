"""drf-jwt (Styria): recorded from 1.19.2."""

from collections.abc import Mapping
from typing import Any

from gateway.errors import AuthenticationFailed, Flaw, GatewayError
from gateway.profiles.drf import DrfProfile

_DETAILS = {
    Flaw.UNDECODABLE: "Error decoding token.",
    Flaw.EXPIRED: "Token has expired.",
    Flaw.NO_USER: "Invalid payload.",
    Flaw.REVOKED: "Token is blacklisted.",
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

    def _status(self, error: GatewayError) -> int:
        is_revoked = isinstance(error, AuthenticationFailed) and error.flaw is Flaw.REVOKED
        return 403 if is_revoked else error.status

    def _refusal(self, flaw: Flaw) -> Mapping[str, Any]:
        return {"detail": _DETAILS.get(flaw, "Invalid token.")}
