"""The algorithms of PyJWT and cryptography, and what only they know of keys.

It is loaded by `algorithms` alone, for who has such keys.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import Algorithm, ECAlgorithm, get_default_algorithms
from jwt.exceptions import PyJWTError
from jwt.utils import der_to_raw_signature

from gateway.tokens.algorithms import UnfitKey

_IMPLEMENTATIONS: Mapping[str, Algorithm] = MappingProxyType(get_default_algorithms())
_REFUSALS = (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm)


class Asymmetric:
    """PyJWT's algorithm of this name."""

    def __init__(self, name: str) -> None:
        self._algorithm = _IMPLEMENTATIONS[name]

    def prepare(self, text: str) -> Any:
        try:
            return self._algorithm.prepare_key(text)
        except _REFUSALS:
            raise UnfitKey from None

    def from_jwk(self, jwk: Mapping[str, Any]) -> Any:
        try:
            return self._algorithm.from_jwk(dict(jwk))
        except _REFUSALS:
            raise UnfitKey from None

    def verify(self, signing_input: bytes, material: Any, signature: bytes) -> bool:
        return self._algorithm.verify(signing_input, material, signature)

    def sign(self, signing_input: bytes, material: Any) -> bytes:
        """The signature: the same each time (ECDSA as in RFC 6979), but for PS256 to PS512."""
        algorithm = self._algorithm
        if isinstance(algorithm, ECAlgorithm):
            scheme = ec.ECDSA(algorithm.hash_alg(), deterministic_signing=True)
            der = material.sign(signing_input, scheme)
            return der_to_raw_signature(der, material.curve)
        return algorithm.sign(signing_input, material)


def encoded(material: Any) -> bytes:
    """A private key as bytes."""
    der: bytes = material.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return der
