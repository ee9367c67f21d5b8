"""Makes what tests need: tokens by the recipes of the recordings, keys, issuers, requests.

Everything happens at NOW unless a test says otherwise.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.authentication import Authenticator
from gateway.config import IssuerConfig
from gateway.profiles import Profiles
from gateway.request import RequestHead
from gateway.tokens.issuer import Issuer

NOW = 1_795_320_000.25
SECRET = "wirelab-secret-key-0123456789abcdefghijklmnopqrstuvwxyz"
OTHER_SECRET = "another-secret-key-0123456789abcdefghijklmnopqrstuvwxyz"
A_UUID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")

Claims = dict[str, Any]
_DROPPED = object()


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands until it is set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def without(*names: str) -> Claims:
    """Changes that take claims away."""
    return dict.fromkeys(names, _DROPPED)


def _changed(base: Claims, changes: Mapping[str, Any]) -> Claims:
    return {k: v for k, v in {**base, **changes}.items() if v is not _DROPPED}


def simplejwt_claims(**changes: Any) -> Claims:
    now = int(NOW)
    base = {
        "token_type": "access",
        "exp": now + 3000,
        "iat": now - 60,
        "jti": A_UUID.hex,
        "user_id": "1",
    }
    return _changed(base, changes)


def drf_jwt_claims(**changes: Any) -> Claims:
    now = int(NOW)
    base = {
        "username": "alice",
        "iat": now - 60,
        "exp": now + 3000,
        "user_id": 1,
        "orig_iat": now - 60,
        "jti": str(A_UUID),
    }
    return _changed(base, changes)


def legacy_claims(**changes: Any) -> Claims:
    now = int(NOW)
    base = {
        "username": "alice",
        "exp": now + 3000,
        "user_id": 1,
        "orig_iat": now - 60,
        "email": "alice@example.org",
    }
    return _changed(base, changes)


def plain_claims(**changes: Any) -> Claims:
    now = int(NOW)
    return _changed({"sub": "u-1", "exp": now + 3000, "iat": now - 60}, changes)


CLAIMS: dict[str, Callable[..., Claims]] = {
    "simplejwt": simplejwt_claims,
    "drf-jwt": drf_jwt_claims,
    "djangorestframework-jwt": legacy_claims,
    "jwt": plain_claims,
}


def sign(
    claims: Mapping[str, Any],
    key: Any = SECRET,
    algorithm: str = "HS256",
    **header: Any,
) -> str:
    """A token that PyJWT signs; `header` adds to its header."""
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers=header or None)


def sign_raw(
    header: object, payload: bytes, secret: str = SECRET, digest_name: str = "sha256"
) -> str:
    """An HMAC signature over anything, also over what no library would write."""
    signing_input = _b64(json.dumps(header).encode()) + "." + _b64(payload)
    digest = hmac.new(secret.encode(), signing_input.encode(), digest_name).digest()
    return signing_input + "." + _b64(digest)


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def rsa_key(number: int = 0, *, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same number, within a run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def private_pem(key: Any) -> str:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def public_pem(key: Any) -> str:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def jwk(key: Any, kid: str | None = None, **members: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    algorithm = next(a for kind, a in kinds.items() if isinstance(key, kind))
    written: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**written, **({"kid": kid} if kid else {}), **members}


def issuer_config(**settings: Any) -> IssuerConfig:
    """The settings of an issuer: simplejwt on HS256 with SECRET unless said otherwise."""
    if not settings.keys() & {"signing_key", "verifying_key", "jwk_url"}:
        settings["signing_key"] = SECRET
    return IssuerConfig.model_validate(settings)


def offline_client() -> httpx.AsyncClient:
    """A client for issuers that have no business fetching anything."""

    def refuse(asked: httpx.Request) -> httpx.Response:
        raise AssertionError(f"an outbound connection to {asked.url}")

    return httpx.AsyncClient(transport=httpx.MockTransport(refuse))


def issuer(
    name: str = "students",
    *,
    clock: Callable[[], float] | None = None,
    monotonic: Callable[[], float] | None = None,
    client: httpx.AsyncClient | None = None,
    **settings: Any,
) -> Issuer:
    clock = clock or FrozenClock()
    return Issuer.build(
        name,
        issuer_config(**settings),
        client=client or offline_client(),
        wall=clock,
        monotonic=monotonic or clock,
    )


def authenticator(
    *issuers: Issuer, clock: Callable[[], float] | None = None
) -> tuple[Authenticator, Profiles]:
    profiles = Profiles({each.name: each.config for each in issuers})
    return Authenticator(issuers, profiles, wall=clock or FrozenClock()), profiles


def request(
    *headers: tuple[str, str], method: str = "GET", target: str = "/api/me/"
) -> RequestHead:
    path, _, query = target.encode().partition(b"?")
    return RequestHead(
        method=method,
        target=target.encode(),
        path=path,
        query=query,
        headers=[(k.lower().encode(), v.encode("latin-1")) for k, v in headers],
    )


def bearer(token: str, scheme: str = "Bearer") -> tuple[str, str]:
    return ("Authorization", f"{scheme} {token}")
