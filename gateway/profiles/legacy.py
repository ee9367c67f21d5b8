"""djangorestframework-jwt: recorded from 1.11.0, its last release."""

from collections.abc import Mapping
from typing import Any

from gateway.errors import AuthenticationFailed, Flaw
from gateway.profiles.drf import DrfProfile

_DETAILS = {
    Flaw.HEADER_EMPTY: "Invalid Authorization header. No credentials provided.",
    Flaw.HEADER_PARTS: (
        "Invalid Authorization header. Credentials string should not contain spaces."
    ),
    Flaw.UNDECODABLE: "Error decoding signature.",
    Flaw.EXPIRED: "Signature has expired.",
    Flaw.NO_USER: "Invalid payload.",
}


class LegacyJwt(DrfProfile):
    """Its prefix is taken in upper and lower case."""

    def __init__(self, *, issuer: str, types: tuple[str, ...]) -> None:
        super().__init__(issuer=issuer, types=types)
        self._types = frozenset(word.lower().encode() for word in types)

    def credentials(self, value: bytes) -> bytes | None:
        parts = value.split()
        if not parts or parts[0].lower() not in self._types:
            return None
        if len(parts) != 2:
            flaw = Flaw.HEADER_EMPTY if len(parts) == 1 else Flaw.HEADER_PARTS
            raise AuthenticationFailed(flaw, issuer=self._issuer)
        return parts[1]

    def _refusal(self, flaw: Flaw) -> Mapping[str, Any]:
        return {"detail": _DETAILS.get(flaw, "Incorrect authentication credentials.")}
