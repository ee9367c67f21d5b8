"""The ways to a server that the other tests do not take: a Unix socket, TLS, a password."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.stores.base import Policy, Presented, SessionKey, Verdict
from tests.ports import free_port
from tests.redis_servers import redis_binary, redis_server
from tests.stores.conftest import running
from tests.stores.recording import MINUTE, RecordingSink

KEY = SessionKey("main", "1", "s1")
POLICY = Policy(grace=10_000, record_life=60 * MINUTE, access_life=5 * MINUTE)
NEW = Presented(0, is_managed=False, issued_at=1, life=60 * MINUTE)


async def rotates_at(url: str) -> None:
    async with running(url, RecordingSink()) as store:
        assert (await store.rotate(KEY, NEW, POLICY)).verdict is Verdict.ROTATED


async def test_a_unix_socket_leads_to_the_store(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with redis_server(tmp_path, options=("--unixsocket", str(path))):
        await rotates_at(f"unix://{path}?db=3")


async def test_a_password_is_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with redis_server(tmp_path) as server:
        server.ask("CONFIG", "SET", "requirepass", "open-sesame")
        await rotates_at(f"redis://:open-sesame@127.0.0.1:{server.port}/0")
    assert "sesame" not in caplog.text


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that speaks for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def test_tls_leads_to_the_store(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("there is no redis-server, and the tests' own server has no TLS")
    cert, key = certificate
    port = free_port()
    options = (
        "--tls-port", str(port), "--tls-cert-file", str(cert), "--tls-key-file", str(key),
        "--tls-ca-cert-file", str(cert), "--tls-auth-clients", "no",
    )  # fmt: skip
    with redis_server(tmp_path, binary=binary, options=options):
        await rotates_at(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={cert}")
