#!/usr/bin/env python
"""Write a new RSA key pair for signing tokens: make_keys.py PRIVATE.pem PUBLIC.pem"""

import os
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def main(private_path, public_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # Only the app's own user may read the private key.
    with open(os.open(private_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private_pem)
    with open(public_path, "wb") as file:
        file.write(public_pem)


if __name__ == "__main__":
    main(*sys.argv[1:])
