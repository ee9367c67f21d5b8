"""The claims of a fresh access token as each package writes them.

Only who the bearer is goes in: no issuer vouches for claims that another one made. The older
packages name the user too, and write the primary key as it is, mostly a number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from gateway.config import IssuerConfig
from gateway.errors import ClaimsUnmet
from gateway.identity import Identity


@dataclass(frozen=True, slots=True)
class Order:
    """What a token is minted for; times in epoch seconds."""

    config: IssuerConfig
    identity: Identity
    user_claim: str
    issued: int
    expires: int
    id: UUID

    @property
    def username(self) -> str:
        """Raises ClaimsUnmet without one: a name guessed from an id may be somebody else's."""
        name = self.identity.claims.get("username")
        if not isinstance(name, str) or not name:
            raise ClaimsUnmet(issuer=self.identity.issuer)
        return name

    @property
    def primary_key(self) -> int | str:
        user_id = self.identity.user_id
        return int(user_id) if user_id.isascii() and user_id.isdigit() else user_id


def _simplejwt(order: Order) -> dict[str, Any]:
    return {
        order.config.token_type_claim: "access",
        "exp": order.expires,
        "iat": order.issued,
        order.config.jti_claim: order.id.hex,
        order.user_claim: order.identity.user_id,
    }


def _drf_jwt(order: Order) -> dict[str, Any]:
    return {
        "username": order.username,
        "iat": order.issued,
        "exp": order.expires,
        order.config.jti_claim: str(order.id),
        order.user_claim: order.primary_key,
        "orig_iat": order.issued,
    }


def _legacy(order: Order) -> dict[str, Any]:
    return {
        order.user_claim: order.primary_key,
        "username": order.username,
        "exp": order.expires,
        "email": order.identity.claims.get("email", ""),
        "orig_iat": order.issued,
    }


def _plain(order: Order) -> dict[str, Any]:
    return {
        order.user_claim: order.identity.user_id,
        "iat": order.issued,
        "exp": order.expires,
        order.config.jti_claim: order.id.hex,
    }


FORMS: Mapping[str, Callable[[Order], dict[str, Any]]] = MappingProxyType(
    {
        "simplejwt": _simplejwt,
        "drf-jwt": _drf_jwt,
        "djangorestframework-jwt": _legacy,
        "jwt": _plain,
    }
)
