"""How tokens are signed, by the names of RFC 7518: HMAC by the standard library, all else by PyJWT.

Rule: PyJWT and cryptography are loaded for whoever needs them: they take 10 MB of each worker.
"""

import hmac
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

# PyJWT knows keys of other kinds, which must never serve as secrets, better than one line can.
# It is asked about what could be one: PEM, SSH, DER (a SEQUENCE begins with 0x30), JSON.
_OTHER_KEYS = (b"ssh-", b"ecdsa-", b"0", b"{", b"[")


class UnfitKey(ValueError):
    """Not a key of the algorithm. It has no cause: what libraries say may quote the key."""


class Algorithm(Protocol):
    """Signs and verifies; `material` is a key as `prepare` or `from_jwk` gives it."""

    def prepare(self, text: str) -> Any:
        """The key that a setting holds. Raises UnfitKey."""
        ...

    def from_jwk(self, jwk: Mapping[str, Any]) -> Any:
        """The key that a JWK holds. Raises UnfitKey."""
        ...

    def verify(self, signing_input: bytes, material: Any, signature: bytes) -> bool: ...

    def sign(self, signing_input: bytes, material: Any) -> bytes: ...


class Hmac:
    """HMAC with SHA-2 (RFC 7518 §3.2); its keys are bytes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._digest = f"sha{name[2:]}"

    def prepare(self, text: str) -> bytes:
        secret = text.encode()
        start = secret.lstrip(b"\xef\xbb\xbf \t\r\n")
        if b"----" in secret or b"\0" in secret or start.startswith(_OTHER_KEYS):
            from gateway.tokens.asymmetric import Asymmetric

            Asymmetric(self._name).prepare(text)
        return secret

    def from_jwk(self, jwk: Mapping[str, Any]) -> bytes:
        raise UnfitKey  # nobody publishes secrets

    def verify(self, signing_input: bytes, material: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(signing_input, material), signature)

    def sign(self, signing_input: bytes, material: bytes) -> bytes:
        return hmac.digest(material, signing_input, self._digest)


@cache
def algorithm_of(name: str) -> Algorithm:
    """The algorithm of this name, which is one of `FAMILIES`."""
    if name.startswith("HS"):
        return Hmac(name)
    from gateway.tokens.asymmetric import Asymmetric

    return Asymmetric(name)
