"""What the tests of the verifier share: refusals, and tokens that no library would sign."""

import json
from typing import Any

import pytest

from gateway.errors import Flaw
from gateway.tokens.issuer import Issuer
from gateway.tokens.verifier import TokenRefused
from tests.factories import (
    CLAIMS,
    sign_raw,
)

PROFILES = tuple(CLAIMS)
TYPED = {"alg": "HS256", "typ": "JWT"}


def refusal(one: Issuer, token: str | bytes) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        one.verifier.verify(token.encode() if isinstance(token, str) else token)
    assert caught.value.status == 401
    assert caught.value.issuer == one.name
    return caught.value


def flaw(one: Issuer, token: str | bytes) -> Flaw:
    return refusal(one, token).flaw


def raw(claims: object, **header: Any) -> str:
    return sign_raw({**TYPED, **header}, json.dumps(claims).encode())
