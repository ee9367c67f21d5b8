"""Sessions of one issuer over a store in memory, at a clock that stands, and their tokens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from gateway.errors import AuthenticationFailed, Flaw
from gateway.stores import MemoryStore
from gateway.tokens.issuer import Issuer
from gateway.tokens.issuing import Refreshed
from gateway.tokens.revocation import RevocationView
from gateway.tokens.sessions import Sessions
from gateway.tokens.tally import Tally
from tests.factories import (
    CLAIMS,
    NOW,
    SECRET,
    Claims,
    FrozenClock,
    sign,
)

DAY = 86400
SECOND = int(NOW)
SINGLE = ("drf-jwt", "djangorestframework-jwt")


@dataclass
class Life:
    """The sessions of one issuer over one store, and what they count."""

    issuer: Issuer
    store: MemoryStore
    clock: FrozenClock
    view: RevocationView
    counted: list[str] = field(default_factory=list)

    def sessions(self) -> Sessions:
        """As after a restart: all that is remembered is the store's."""
        return Sessions(
            self.issuer,
            self.store,
            view=self.view,
            wall=self.clock,
            tally=Tally(refresh=self.counted.append, revocation=self.counted.append),
        )

    async def refresh(self, token: str) -> Refreshed:
        return await self.sessions().refresh(token)

    async def refused(self, token: str) -> Flaw:
        return await flaw_of(self.refresh(token))

    def is_good(self, token: str) -> bool:
        """Whether the API takes it."""
        return is_good(self.view, self.issuer, token)


def is_good(view: RevocationView, issuer: Issuer, token: str) -> bool:
    """Whether an API takes the token."""
    try:
        view.check(issuer.verifier.verify(token.encode()))
    except AuthenticationFailed:
        return False
    return True


async def flaw_of(judged: Any) -> Flaw:
    with pytest.raises(AuthenticationFailed) as caught:
        await judged
    return caught.value.flaw


Begun = Callable[..., Life]


def refresh_token(key: Any = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = CLAIMS["simplejwt"](token_type="refresh", exp=SECOND + DAY, role="teacher", **changes)
    return sign(claims, key, algorithm)


def read(token: str | None) -> Claims:
    assert token is not None
    found: Claims = jwt.decode(token, options={"verify_signature": False})
    return found


async def logged_in(one: Life, **changes: Any) -> dict[str, str]:
    """A login's tokens as the gateway gives them."""
    tokens = {
        "refresh": refresh_token(**changes),
        "access": sign(CLAIMS["simplejwt"](**{"iat": SECOND, **changes})),
    }
    return dict(await one.sessions().begin(tokens))
