"""The token endpoints' fields and answers, in the form of each issuer's package.

Rules
- The recordings under `tests/wire` are the truth: names, their order, statuses.
- What goes wrong is worded by the profile; here are the answers of success and of OPTIONS.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.config import IssuerConfig
from gateway.profiles import descriptions
from gateway.profiles.answer import Content
from gateway.profiles.descriptions import Description

_NOTHING: Mapping[str, Any] = {}
_PAIR = ("access", "refresh")
_SINGLE = ("token",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWire(ABC):
    """How clients of the issuer give tokens, and are given them.

    Of packages with a single token `access` is that token, and there is no other.
    """

    # Under these names a login's answer has the access and refresh tokens.
    pair_names: ClassVar[tuple[str, ...]]
    refresh_field: ClassVar[str]
    blacklist_field: ClassVar[str]
    verify_field: ClassVar[str] = "token"
    descriptions: ClassVar[Mapping[str, Description]]

    issuer: str

    @abstractmethod
    def refreshed(self, *, access: str, refresh: str | None, claims: Mapping[str, Any]) -> Content:
        """New tokens; `claims` are those of `access`, `refresh` None where it is not new."""
        ...

    @abstractmethod
    def verified(self, token: str, claims: Mapping[str, Any]) -> Content:
        """The token is good."""
        ...

    def blacklisted(self, token: str) -> Content:
        """The token's session is over."""
        return Content(200, _NOTHING)

    def all_blacklisted(self) -> Content:
        """All sessions of the user are over."""
        return Content(200, _NOTHING)

    def described(self, endpoint: str) -> Content:
        """What OPTIONS answers at an endpoint, which is named by its key in the configuration."""
        return Content(200, self.descriptions[endpoint])


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWire(TokenWire):
    """simplejwt's pairs."""

    pair_names = _PAIR
    refresh_field = "refresh"
    blacklist_field = "refresh"
    descriptions = descriptions.PAIR

    def refreshed(self, *, access: str, refresh: str | None, claims: Mapping[str, Any]) -> Content:
        if refresh is None:
            return Content(200, {"access": access})
        return Content(200, {"access": access, "refresh": refresh})

    def verified(self, token: str, claims: Mapping[str, Any]) -> Content:
        return Content(200, _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainWire(PairWire):
    """Pairs of no package."""

    descriptions = descriptions.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWire(TokenWire):
    """simplejwt's sliding tokens; its blacklist has the same field as with pairs."""

    pair_names = _SINGLE
    refresh_field = "token"
    blacklist_field = "refresh"
    descriptions = descriptions.SLIDING

    def refreshed(self, *, access: str, refresh: str | None, claims: Mapping[str, Any]) -> Content:
        return Content(200, {"token": access})

    def verified(self, token: str, claims: Mapping[str, Any]) -> Content:
        return Content(200, _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrfJwtWire(TokenWire):
    """drf-jwt, whose `pk` is the time of issue, and whose answers are things created."""

    pair_names = _SINGLE
    refresh_field = "token"
    blacklist_field = "token"
    descriptions = descriptions.DRF_JWT

    def refreshed(self, *, access: str, refresh: str | None, claims: Mapping[str, Any]) -> Content:
        return Content(201, {"pk": claims.get("iat"), "token": access})

    def verified(self, token: str, claims: Mapping[str, Any]) -> Content:
        return Content(201, {"pk": claims.get("iat"), "token": token})

    def blacklisted(self, token: str) -> Content:
        return Content(201, {"token": token})

    def all_blacklisted(self) -> Content:
        return Content(201, _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyWire(TokenWire):
    """djangorestframework-jwt, which echoes a good token."""

    pair_names = _SINGLE
    refresh_field = "token"
    blacklist_field = "token"
    descriptions = descriptions.LEGACY

    def refreshed(self, *, access: str, refresh: str | None, claims: Mapping[str, Any]) -> Content:
        return Content(200, {"token": access})

    def verified(self, token: str, claims: Mapping[str, Any]) -> Content:
        return Content(200, {"token": token})


def token_wire_of(name: str, config: IssuerConfig) -> TokenWire:
    """The wire form of the issuer `name`."""
    if config.is_sliding:
        return SlidingWire(issuer=name)
    if config.profile == "drf-jwt":
        return DrfJwtWire(issuer=name)
    if config.profile == "djangorestframework-jwt":
        return LegacyWire(issuer=name)
    if config.profile == "jwt":
        return PlainWire(issuer=name)
    return PairWire(issuer=name)
