"""JWS compact serialization: taking a token apart and putting one together.

Rules
- RFC 7515 §7.1: three base64url segments without padding; no JSON form, no JWE (five segments).
- RFC 7515 §4.1.11: no extension is understood, so `crit` refuses; nor is `b64` (RFC 7797).
- Nothing a header brings along (`jku`, `jwk`, `x5u`, `x5c`) is ever read.
- What is taken apart here is not yet believed: the signature is the verifier's.
"""

import json
from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from gateway.errors import Flaw

MAX_TOKEN_SIZE = 8 * 1024
MAX_CLAIM_DEPTH = 32

# Made once: with separators json.dumps makes an encoder for each call.
_json = json.JSONEncoder(separators=(",", ":")).encode
# json makes new names for each token, which are a fifth of what a verified one takes in memory.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        name: name
        for name in (
            *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "typ", "azp", "scope", "client_id"),
            *("token_type", "user_id", "username", "email", "orig_iat", "orig_jti", "sid", "gen"),
        )
    }
)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class FlawError(ValueError):
    """A token or its claims are bad; `flaw` says how."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class CompactToken:
    """A token's parts, decoded but unverified."""

    algorithm: str
    key_id: str | None
    type: str | None
    header_order: tuple[str, ...]
    signing_input: bytes
    payload: bytes
    signature: bytes

    @classmethod
    def parse(cls, token: bytes) -> "CompactToken":
        """Takes a token apart; raises FlawError."""
        if len(token) > MAX_TOKEN_SIZE or token.translate(None, _ALPHABET) != b"..":
            raise FlawError(Flaw.UNDECODABLE)
        signing_input, _, signature = token.rpartition(b".")
        head, _, body = signing_input.partition(b".")
        header = _object(_decode(head))
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if (
            not isinstance(algorithm, str)
            or not isinstance(key_id, str | None)
            or not isinstance(kind, str | None)
            or "crit" in header
            or header.get("b64", True) is not True
        ):
            raise FlawError(Flaw.INVALID)
        return cls(
            algorithm, key_id, kind, tuple(header), signing_input, _decode(body), _decode(signature)
        )

    @property
    def header(self) -> dict[str, str]:
        """What a token that takes this one's place has in its header, in the same order."""
        known = {"alg": self.algorithm, "typ": self.type, "kid": self.key_id}
        return {name: value for name in self.header_order if (value := known.get(name)) is not None}

    def claims(self) -> dict[str, Any]:
        """The payload as a JSON object; raises FlawError."""
        claims = _object(self.payload)
        # Depth needs a look only where there are enough brackets for it.
        if (
            self.payload.count(b"[") + self.payload.count(b"{") > MAX_CLAIM_DEPTH
            and _depth(claims) > MAX_CLAIM_DEPTH
        ):
            raise FlawError(Flaw.INVALID)
        return {_NAMES.get(name, name): value for name, value in claims.items()}


def serialize(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bytes:
    """The signing input of a token with these parts."""
    return _encoded_header(tuple(header.items())) + b"." + encode(_json(claims).encode())


@lru_cache(maxsize=64)
def _encoded_header(members: tuple[tuple[str, Any], ...]) -> bytes:
    return encode(_json(dict(members)).encode())


def encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decode(segment: bytes) -> bytes:
    padded = segment.translate(_TO_STANDARD) + b"=" * (-len(segment) % 4)
    try:
        decoded = a2b_base64(padded, strict_mode=True)
    except Base64Error as error:
        raise FlawError(Flaw.UNDECODABLE) from error
    # Spare bits in the last character would give one signature several spellings.
    if (
        len(segment) % 4
        and encode(decoded[-2:] if len(segment) % 4 == 3 else decoded[-1:])[-1] != segment[-1]
    ):
        raise FlawError(Flaw.UNDECODABLE)
    return decoded


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise FlawError(Flaw.UNDECODABLE) from error
    if not isinstance(value, dict):
        raise FlawError(Flaw.UNDECODABLE)
    return value


def _depth(value: object) -> int:
    depth, layer = 0, [value]
    while layer:
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth
