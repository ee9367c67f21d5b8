"""djangorestframework-jwt: recorded from 1.11.0, its last release."""

from gateway.errors import AuthenticationFailed, Flaw
from gateway.profiles.answer import Content
from gateway.profiles.drf import DrfProfile, not_valid

_DETAILS = {
    Flaw.HEADER_EMPTY: "Invalid Authorization header. No credentials provided.",
    Flaw.HEADER_PARTS: (
        "Invalid Authorization header. Credentials string should not contain spaces."
    ),
    Flaw.UNDECODABLE: "Error decoding signature.",
    Flaw.EXPIRED: "Signature has expired.",
    Flaw.NO_USER: "Invalid payload.",
}
_GIVEN = {
    Flaw.EXPIRED: "Signature has expired.",
    Flaw.NO_USER: "Invalid payload.",
    Flaw.NO_ORIGIN: "orig_iat field is required.",
    Flaw.REFRESH_EXPIRED: "Refresh has expired.",
    Flaw.REVOKED: "Token is blacklisted.",  # drf-jwt's: this package has no blacklist
    Flaw.NO_ACCOUNT: "User account is disabled.",
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

    def _refusal(self, flaw: Flaw) -> Content:
        return Content(401, {"detail": _DETAILS.get(flaw, "Incorrect authentication credentials.")})

    def _given(self, flaw: Flaw, endpoint: str) -> Content:
        return not_valid(_GIVEN.get(flaw, "Error decoding signature."))
