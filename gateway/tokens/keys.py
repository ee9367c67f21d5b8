"""Key material: loaded once, checked before anything is served, bound to its algorithms.

Rules
- RFC 8725 §3.1: a key verifies only the algorithms that the operator named for it, and all of
  them are of one family, so that no public key can ever serve as an HMAC secret.
- RFC 7518 §3.2, §3.3: an HMAC secret is at least as long as its hash, RSA has 2048 bits or more.
- Errors name the issuer and the key's setting, never the key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gateway.config import IssuerConfig
from gateway.tokens.algorithms import UnfitKey, algorithm_of

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        **{f"HS{bits}": "HMAC" for bits in (256, 384, 512)},
        **{f"{kind}{bits}": "RSA" for kind in ("RS", "PS") for bits in (256, 384, 512)},
        **{f"ES{bits}": "EC" for bits in (256, 384, 512)},
        "EdDSA": "OKP",
    }
)
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_MIN_RSA_BITS = 2048
_KEY_FILE_MARKS = (b"-----BEGIN", b"---- BEGIN", b"ssh-", b"ecdsa-sha2-")


class KeyMaterialError(ValueError):
    """A key that must not be used; `key_name` is the setting it came from, such as signing_key."""

    def __init__(self, message: str, key_name: str) -> None:
        super().__init__(message)
        self.key_name = key_name


@dataclass(frozen=True, slots=True)
class Key:
    """One key, prepared for use with the algorithms that it fits."""

    algorithms: frozenset[str]
    material: Any = field(repr=False)
    key_id: str | None = None

    def verifies(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        return algorithm_of(algorithm).verify(signing_input, self.material, signature)

    def sign(self, algorithm: str, signing_input: bytes) -> bytes:
        """The signature: the same each time (ECDSA as in RFC 6979), but for PS256 to PS512."""
        return algorithm_of(algorithm).sign(signing_input, self.material)

    def secret(self) -> bytes:
        """What only the holder of this signing key knows, for keys that derive from it."""
        if isinstance(self.material, bytes):
            return self.material
        from gateway.tokens.asymmetric import encoded  # whoever has such a key has it loaded

        return encoded(self.material)

    def public(self) -> "Key":
        """The half that verifies; an HMAC secret is both."""
        material = self.material
        if not hasattr(material, "private_bytes"):
            return self
        return Key(self.algorithms, material.public_key(), self.key_id)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that an issuer's settings hold."""

    algorithms: tuple[str, ...]
    verifying: tuple[Key, ...]
    signing: Key | None = None
    warnings: tuple[str, ...] = ()

    def matching(self, algorithm: str, key_id: str | None) -> list[Key]:
        """The keys to try: the one that is named so, or else the nameless."""
        return matching_keys(self.verifying, algorithm, key_id)


def matching_keys(keys: Iterable[Key], algorithm: str, key_id: str | None) -> list[Key]:
    """Keys for a token's header; a token without `kid` may be of any key."""
    return [
        key
        for key in keys
        if algorithm in key.algorithms
        and (key_id is None or key.key_id is None or key.key_id == key_id)
    ]


def load_keys(issuer: IssuerConfig, *, name: str) -> KeySet:
    """All keys in the issuer's settings, checked; raises KeyMaterialError."""
    algorithms = tuple(issuer.algorithm)
    family = _family_of(name, algorithms)
    if issuer.jwk_url is not None and family == "HMAC":
        raise KeyMaterialError(
            f"issuer {name!r}: a jwk_url publishes keys; {algorithms[0]} needs a secret", "jwk_url"
        )
    signing = None
    verifying: list[Key] = []
    warnings: list[str] = []
    if issuer.signing_key is not None:
        text = issuer.signing_key.reveal()
        signing = _load(text, algorithms, "signing_key", name)
        if family != "HMAC" and signing.public() is signing:
            raise KeyMaterialError(
                f"issuer {name!r}: signing_key is a public key; set it as verifying_key",
                "signing_key",
            )
        verifying.append(signing.public())
        warnings += _doubts(text, family, f"issuer {name!r}: signing_key")
    for secret in issuer.verifying_key:
        verifying.append(_load(secret.reveal(), algorithms, "verifying_key", name).public())
        warnings += _doubts(secret.reveal(), family, f"issuer {name!r}: verifying_key")
    if issuer.jwk_url is None:
        if not verifying:
            raise KeyMaterialError(
                f"issuer {name!r}: needs a signing_key, a verifying_key or a jwk_url",
                "signing_key",
            )
        unserved = set(algorithms).difference(*(key.algorithms for key in verifying))
        if unserved:
            raise KeyMaterialError(
                f"issuer {name!r}: no key fits the algorithm {min(unserved)}", "algorithm"
            )
    return KeySet(algorithms, tuple(verifying), signing, tuple(warnings))


def key_from_jwk(jwk: Mapping[str, Any], algorithms: tuple[str, ...]) -> Key | None:
    """A key of a published set (RFC 7517), None where it is not one that may verify here."""
    operations = jwk.get("key_ops")
    if (
        jwk.get("kty") != FAMILIES[algorithms[0]]
        or jwk.get("use", "sig") != "sig"
        or (isinstance(operations, list) and "verify" not in operations)
        or not isinstance(jwk.get("kid"), str | None)
    ):
        return None
    named = jwk.get("alg")
    allowed = algorithms if named is None else tuple(a for a in algorithms if a == named)
    if not allowed:
        return None
    try:
        material = algorithm_of(allowed[0]).from_jwk(jwk)
    except UnfitKey:
        return None
    fitting = frozenset(a for a in allowed if _misfit(a, material) is None)
    return Key(fitting, material, jwk.get("kid")).public() if fitting else None


def _family_of(name: str, algorithms: tuple[str, ...]) -> str:
    families = {FAMILIES[algorithm] for algorithm in algorithms}
    if len(families) != 1:
        raise KeyMaterialError(
            f"issuer {name!r}: algorithms of mixed families ({', '.join(algorithms)}); "
            "make one issuer for each",
            "algorithm",
        )
    return families.pop()


def _load(text: str, algorithms: tuple[str, ...], setting: str, name: str) -> Key:
    where = f"issuer {name!r}: {setting}"
    if FAMILIES[algorithms[0]] == "HMAC" and text.encode().lstrip().startswith(_KEY_FILE_MARKS):
        raise KeyMaterialError(
            f"{where} is a PEM or SSH key, but {algorithms[0]} takes a secret", setting
        )
    fitting: list[str] = []
    material: Any = None
    misfit = ""
    for algorithm in algorithms:
        try:
            prepared = algorithm_of(algorithm).prepare(text)
        except UnfitKey:
            misfit = misfit or f"is not a key that fits {algorithm}"
            continue
        problem = _misfit(algorithm, prepared)
        if problem is None:
            fitting.append(algorithm)
            material = prepared
        else:
            misfit = problem
    if not fitting:
        raise KeyMaterialError(f"{where} {misfit}", setting)
    return Key(frozenset(fitting), material)


def _misfit(algorithm: str, material: Any) -> str | None:
    """Why this prepared key must not be used with this algorithm."""
    family = FAMILIES[algorithm]
    if family == "HMAC":
        needed = int(algorithm[2:]) // 8
        if len(material) < needed:
            return f"has {len(material)} bytes; {algorithm} needs {needed} or more"
    elif family == "RSA" and material.key_size < _MIN_RSA_BITS:
        return f"is an RSA key of {material.key_size} bits; {_MIN_RSA_BITS} is the least"
    elif family == "EC" and material.curve.name != _CURVES[algorithm]:
        return f"is on the curve {material.curve.name}; {algorithm} needs {_CURVES[algorithm]}"
    return None


def _doubts(text: str, family: str, where: str) -> list[str]:
    """Django's own doubts about a SECRET_KEY (its check security.W009)."""
    if family != "HMAC":
        return []
    if text.startswith("django-insecure-"):
        return [f"{where} is one that startproject wrote, for development only"]
    if len(text) < 50 or len(set(text)) < 5:
        return [f"{where} is weaker than Django asks: 50 characters, 5 different ones"]
    return []
