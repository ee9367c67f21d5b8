"""Wording and wire form of the gateway's own answers, as each issuer's package would give them."""

from collections.abc import Mapping

from gateway.config import IssuerConfig
from gateway.errors import GatewayError
from gateway.profiles.answer import Answer, Content, Profile
from gateway.profiles.drf_jwt import DrfJwt
from gateway.profiles.legacy import LegacyJwt
from gateway.profiles.problem import PlainJwt, Problem
from gateway.profiles.simplejwt import SimpleJwt
from gateway.profiles.token_wire import TokenWire, token_wire_of
from gateway.request import RequestHead
from gateway.tokens.rules import is_from_5_5

__all__ = [
    "Answer",
    "Content",
    "Profile",
    "Profiles",
    "TokenWire",
    "profile_of",
    "token_wire_of",
]


def profile_of(name: str, config: IssuerConfig) -> Profile:
    """The profile of the issuer `name`."""
    types = config.auth_header_types
    if config.profile == "simplejwt":
        return SimpleJwt(
            issuer=name,
            types=types,
            classes=config.auth_token_classes,
            tells_expiry=is_from_5_5(config.profile_version),
        )
    if config.profile == "drf-jwt":
        return DrfJwt(issuer=name, types=types)
    if config.profile == "djangorestframework-jwt":
        return LegacyJwt(issuer=name, types=types)
    return PlainJwt(issuer=name, types=types)


class Profiles:
    """Every issuer's profile by its name, and the form of errors that concern no issuer."""

    def __init__(self, issuers: Mapping[str, IssuerConfig]) -> None:
        self._profiles = {name: profile_of(name, config) for name, config in issuers.items()}
        self._otherwise = Problem()

    def of(self, issuer: str) -> Profile:
        return self._profiles[issuer]

    def render(self, error: GatewayError, request: RequestHead) -> Answer:
        """The answer to a request: in the wording of the issuer that the error names, if any."""
        profile = self._profiles.get(getattr(error, "issuer", ""), self._otherwise)
        return profile.render(error, accept=request.header(b"accept"), query=request.query)
