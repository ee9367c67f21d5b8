"""Makes what the composition keeps secret, once: the apps' keys and nginx's certificate.

Each is a file in the volume /secrets, whose owner all containers but nginx run as.
"""

import datetime
import os
import secrets
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PLACE = Path(os.environ.get("SECRETS", "/secrets"))
NAMES = ("localhost", "accounts.localhost", "employees.localhost")


def write(name: str, content: bytes) -> None:
    """Writes a file that its owner alone can read, and never a part of it."""
    part = PLACE / f"{name}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.rename(PLACE / name)


def certificate() -> tuple[bytes, bytes]:
    """A key and a certificate that it signed itself, for tries on one machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, NAMES)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, signed.public_bytes(serialization.Encoding.PEM)


def main() -> None:
    for app in ("students", "accounts", "employees"):
        if not (PLACE / app).exists():
            write(app, secrets.token_urlsafe(50).encode())
    public, private = PLACE / "public.pem", PLACE / "private.pem"
    if not (public.exists() and private.exists()):
        subprocess.run([sys.executable, "make_keys.py", private, public], check=True)  # noqa: S603
    if not (PLACE / "tls.crt").exists():
        key, signed = certificate()
        write("tls.key", key)
        write("tls.crt", signed)


if __name__ == "__main__":
    main()
