"""The tokens of the fault tests, minted with the issuer's key, and the requests that carry them."""

import json
import time
from base64 import urlsafe_b64decode
from typing import Any
from uuid import uuid4

from tests.factories import sign, simplejwt_claims
from tests.faults.lines import Reply

HOUR = 3600


def first_token(user: str = "1") -> str:
    """A refresh token as the upstream mints it, without a session: adopted when it is used."""
    return _minted("refresh", user)


def plain_access(user: str = "1", *, session: str | None = None) -> str:
    """An access token that no refresh gave."""
    return _minted("access", user, **({"sid": session} if session else {}))


def _minted(kind: str, user: str, **more: Any) -> str:
    now = int(time.time())
    claims = simplejwt_claims(
        token_type=kind, exp=now + HOUR, iat=now - 5, jti=uuid4().hex, user_id=user
    )
    return sign({**claims, **more})


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def refreshing(token: str) -> bytes:
    return _posted("/refreshtoken/", token)


def ending(token: str) -> bytes:
    """Logout."""
    return _posted("/logout/", token)


def calling(token: str | None, path: str = "/api/") -> bytes:
    """An API call."""
    bearer = f"Authorization: Bearer {token}\r\n" if token is not None else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n".encode()


def successor(reply: Reply) -> str:
    """The refresh token of an answer that must be a good one."""
    assert reply.status == 200, reply
    token: str = reply.json()["refresh"]
    return token


def access(reply: Reply) -> str:
    assert reply.status == 200, reply
    token: str = reply.json()["access"]
    return token


def is_blacklisted(reply: Reply) -> bool:
    return reply.status == 401 and b"Token is blacklisted" in reply.body


def _posted(path: str, token: str) -> bytes:
    body = json.dumps({"refresh": token}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
