"""HMAC by the standard library is PyJWT's: the same signatures, and no other key for a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import HMACAlgorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

from gateway.tokens.algorithms import UnfitKey, algorithm_of
from tests.factories import SECRET, private_pem, public_pem, rsa_key

# What texts of other keys are made of, whole and in pieces.
PIECES = st.sampled_from(
    [
        *("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", "---- BEGIN", "\n", " ", "\0"),
        *("ssh-rsa AAAA", "ecdsa-sha2-nistp256 AAAA", "\ufeff", "0", "{", "}", "[", "]", ",", ":"),
        *('"kty"', '"k\\u0074y"', '"oct"', '"a"', "1", "x" * 32),
    ]
)


def is_refused_by_pyjwt(text: str) -> bool:
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
    except InvalidKeyError:
        return True
    return False


def is_refused(text: str) -> bool:
    try:
        algorithm_of("HS256").prepare(text)
    except UnfitKey:
        return True
    return False


@given(st.lists(PIECES, min_size=1, max_size=8).map("".join))
def test_whatever_pyjwt_takes_for_another_key_is_no_secret(text: str) -> None:
    assert is_refused(text) == is_refused_by_pyjwt(text)


@pytest.mark.parametrize(
    "text",
    [
        "\n\t" + public_pem(rsa_key()),
        SECRET + private_pem(rsa_key()),
        "ssh-rsa AAAAB3NzaC1yc2E",
        ' {"kty": "oct", "k": "c2VjcmV0"}',
        '[1, {"keys": [{"kty": "RSA"}]}]',
        '\ufeff{"k\\u0074y": "oct"}',
    ],
    ids=["a PEM", "a PEM behind a secret", "SSH", "a JWK", "a JWK in a list", "a JWK in disguise"],
)
def test_a_key_of_another_kind_is_no_secret(text: str) -> None:
    assert is_refused_by_pyjwt(text)
    assert is_refused(text)


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
@given(secret=st.binary(min_size=64, max_size=200), text=st.binary(max_size=200))
def test_signatures_are_pyjwts(name: str, secret: bytes, text: bytes) -> None:
    ours, theirs = algorithm_of(name), get_default_algorithms()[name]
    signature = ours.sign(text, secret)
    assert signature == theirs.sign(text, secret)
    assert ours.verify(text, secret, signature)
    assert not ours.verify(text + b"x", secret, signature)
    assert not ours.verify(text, secret, signature[:-1])
