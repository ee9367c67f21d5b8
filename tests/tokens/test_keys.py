"""Key material is judged before anything is served."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.tokens.keys import KeyMaterialError, key_from_jwk, load_keys
from tests.factories import SECRET, ec_key, ed_key, issuer_config, jwk, private_pem, public_pem
from tests.factories import rsa_key as rsa

SSH_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 user@example.org"

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "RSA under 2048 bits": (
        {"algorithm": "RS256", "verifying_key": lambda: public_pem(rsa(bits=1024))},
        "verifying_key",
        "1024 bits; 2048 is the least",
    ),
    "HS256 secret under 32 bytes": ({"signing_key": "x" * 31}, "signing_key", "has 31 bytes"),
    "HS384 secret under 48 bytes": (
        {"algorithm": "HS384", "signing_key": "y" * 47},
        "signing_key",
        "HS384 needs 48",
    ),
    "HS512 with an ordinary SECRET_KEY": (
        {"algorithm": "HS512", "signing_key": SECRET},
        "signing_key",
        "HS512 needs 64",
    ),
    "public PEM as HMAC secret": (
        {"verifying_key": lambda: public_pem(rsa())},
        "verifying_key",
        "PEM or SSH key, but HS256 takes a secret",
    ),
    "private PEM as HMAC secret, indented": (
        {"signing_key": lambda: "\n  " + private_pem(rsa())},
        "signing_key",
        "takes a secret",
    ),
    "SSH key as HMAC secret": ({"signing_key": SSH_KEY}, "signing_key", "takes a secret"),
    "JWK as HMAC secret": (
        {"signing_key": '{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}'},
        "signing_key",
        "not a key that fits HS256",
    ),
    "ES256 with P-384": (
        {"algorithm": "ES256", "verifying_key": lambda: public_pem(ec_key(ec.SECP384R1))},
        "verifying_key",
        "ES256",
    ),
    "RS256 with an EC key": (
        {"algorithm": "RS256", "verifying_key": lambda: public_pem(ec_key())},
        "verifying_key",
        "not a key that fits RS256",
    ),
    "EdDSA with an RSA key": (
        {"algorithm": "EdDSA", "signing_key": lambda: private_pem(rsa())},
        "signing_key",
        "not a key that fits EdDSA",
    ),
    "RS256 with a secret": (
        {"algorithm": "RS256", "signing_key": SECRET},
        "signing_key",
        "not a key that fits RS256",
    ),
    "a public key to sign with": (
        {"algorithm": "RS256", "signing_key": lambda: public_pem(rsa())},
        "signing_key",
        "is a public key",
    ),
    "HMAC and RSA together": (
        {"algorithm": ["HS256", "RS256"]},
        "algorithm",
        "mixed families (HS256, RS256)",
    ),
    "RSA and EC together": (
        {"algorithm": ["RS256", "ES256"], "verifying_key": lambda: public_pem(rsa())},
        "algorithm",
        "mixed families",
    ),
    "an algorithm that no key fits": (
        {"algorithm": ["ES256", "ES384"], "verifying_key": lambda: public_pem(ec_key())},
        "algorithm",
        "no key fits the algorithm ES384",
    ),
    "published keys for HS256": (
        {"jwk_url": "https://keys.example/jwks"},
        "jwk_url",
        "HS256 needs a secret",
    ),
}


@pytest.mark.parametrize(("settings", "setting", "reason"), REFUSED.values(), ids=REFUSED)
def test_bad_key_material_is_refused_with_issuer_and_reason(
    settings: dict[str, Any], setting: str, reason: str
) -> None:
    made = {k: v() if callable(v) else v for k, v in settings.items()}
    with pytest.raises(KeyMaterialError) as caught:
        load_keys(issuer_config(**made), name="students")
    message = str(caught.value)
    assert message.startswith("issuer 'students': ")
    assert reason in message
    assert caught.value.key_name == setting


def test_no_message_quotes_the_key() -> None:
    for settings, _, _ in REFUSED.values():
        made = {k: v() if callable(v) else v for k, v in settings.items()}
        with pytest.raises(KeyMaterialError) as caught:
            load_keys(issuer_config(**made), name="students")
        for setting in ("signing_key", "verifying_key"):
            text = str(made.get(setting, SECRET))
            assert text[:20] not in str(caught.value)
            assert text[:20] not in str(caught.value.__cause__)


def test_an_issuer_without_any_key_is_refused() -> None:
    config = issuer_config().model_copy(update={"signing_key": None})
    with pytest.raises(KeyMaterialError, match="needs a signing_key"):
        load_keys(config, name="students")


ACCEPTED: dict[str, dict[str, Any]] = {
    "HS256": {"signing_key": SECRET},
    "HS256, verifying only": {"verifying_key": SECRET},
    "HS512": {"algorithm": "HS512", "signing_key": SECRET * 2},
    "RS256 private": {"algorithm": "RS256", "signing_key": lambda: private_pem(rsa())},
    "RS256 public": {"algorithm": "RS256", "verifying_key": lambda: public_pem(rsa())},
    "RS256, private where public is enough": {
        "algorithm": "RS256",
        "verifying_key": lambda: private_pem(rsa()),
    },
    "RS and PS on one key": {
        "algorithm": ["RS256", "PS512"],
        "verifying_key": lambda: public_pem(rsa()),
    },
    "ES256": {"algorithm": "ES256", "signing_key": lambda: private_pem(ec_key())},
    "ES384": {
        "algorithm": "ES384",
        "verifying_key": lambda: public_pem(ec_key(ec.SECP384R1)),
    },
    "ES256 and ES512, a key each": {
        "algorithm": ["ES256", "ES512"],
        "verifying_key": lambda: [public_pem(ec_key()), public_pem(ec_key(ec.SECP521R1))],
    },
    "EdDSA": {"algorithm": "EdDSA", "signing_key": lambda: private_pem(ed_key())},
}


@pytest.mark.parametrize("settings", ACCEPTED.values(), ids=ACCEPTED)
def test_good_key_material_serves_every_algorithm(settings: dict[str, Any]) -> None:
    made = {k: v() if callable(v) else v for k, v in settings.items()}
    keys = load_keys(issuer_config(**made), name="students")
    for algorithm in keys.algorithms:
        assert keys.matching(algorithm, "any kid")
    assert not any(hasattr(key.material, "private_bytes") for key in keys.verifying)
    assert (keys.signing is not None) == ("signing_key" in settings)
    assert SECRET not in repr(keys)


WARNED = {
    "written by startproject": ("django-insecure-" + "k3y" * 20, "development only"),
    "shorter than Django asks": ("k3y-" * 8, "50 characters"),
    "of few different characters": ("abcd" * 20, "5 different"),
}


@pytest.mark.parametrize(("secret", "warning"), WARNED.values(), ids=WARNED)
def test_a_weak_secret_key_is_taken_with_a_warning(secret: str, warning: str) -> None:
    for setting in ("signing_key", "verifying_key"):
        keys = load_keys(issuer_config(**{setting: secret}), name="students")
        assert len(keys.warnings) == 1
        assert warning in keys.warnings[0]
        assert setting in keys.warnings[0]
        assert secret not in keys.warnings[0]


def test_a_strong_secret_key_gives_no_warning() -> None:
    assert load_keys(issuer_config(), name="students").warnings == ()


UNUSABLE = {
    "for encryption": lambda: jwk(rsa(), "k", use="enc"),
    "not for verifying": lambda: {**jwk(rsa(), "k"), "key_ops": ["wrapKey"]},
    "of another algorithm": lambda: jwk(rsa(), "k", alg="PS256"),
    "of another kind": lambda: jwk(ec_key(), "k"),
    "a secret": lambda: {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
    "too short": lambda: jwk(rsa(bits=1024), "k"),
    "without its modulus": lambda: {"kty": "RSA", "e": "AQAB", "kid": "k"},
    "with a modulus that is no text": lambda: {"kty": "RSA", "n": 7, "e": "AQAB", "kid": "k"},
    "with a kid that is no text": lambda: {**jwk(rsa()), "kid": 7},
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_a_published_key_is_skipped_when_it_is(make: object) -> None:
    assert callable(make)
    assert key_from_jwk(make(), ("RS256",)) is None


def test_a_published_key_on_another_curve_is_skipped() -> None:
    assert key_from_jwk(jwk(ec_key(ec.SECP384R1), "k"), ("ES256",)) is None


def test_a_published_key_serves_the_algorithms_it_fits() -> None:
    found = key_from_jwk(jwk(ec_key(ec.SECP384R1), "k"), ("ES256", "ES384"))
    assert found is not None
    assert found.algorithms == {"ES384"}
    assert found.key_id == "k"


def test_of_a_published_private_key_only_the_public_half_is_kept() -> None:
    from jwt.algorithms import ECAlgorithm

    private = {**ECAlgorithm.to_jwk(ec_key(), as_dict=True), "kid": "k"}
    found = key_from_jwk(private, ("ES256",))
    assert found is not None
    assert not hasattr(found.material, "private_bytes")
