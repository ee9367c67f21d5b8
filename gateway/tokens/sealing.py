"""Seals what only who holds a token may read: the key is derived from the token itself.

cryptography is loaded with the first answer that is sealed: few gateways do, and it takes 8 MB.
"""

import hashlib
import os
from typing import TYPE_CHECKING

from gateway.errors import StoreUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


def sealed(answer: bytes, token: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + _cipher(token).encrypt(nonce, answer, None)


def opened(kept: bytes, token: str) -> bytes:
    """Raises StoreUnavailable for what was not sealed for this token."""
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(token).decrypt(kept[:_NONCE], kept[_NONCE:], None)
    except InvalidTag as error:
        raise StoreUnavailable from error


def _cipher(token: str) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hashlib.sha256(b"gateway refresh answer\n" + token.encode()).digest())
