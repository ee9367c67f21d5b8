"""What the signatures of one refresh cost alone, and what they are to each peer."""

import os
from time import process_time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench.refresh.load import Keys

PAIRS = 300
_INPUT = b"x" * 300


def two_signatures_us(keys: Keys, *, core: int) -> float:
    """Microseconds of CPU for two RS256 signatures, an access and a refresh token's."""
    private = load_pem_private_key(keys.signing.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        began = process_time()
        for _ in range(2 * PAIRS):
            private.sign(_INPUT, padding.PKCS1v15(), hashes.SHA256())
        return (process_time() - began) / PAIRS * 1e6
    finally:
        os.sched_setaffinity(0, allowed)
