"""A worker loads the large libraries that its configuration needs, and no others: they are a third
of its memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import SECRET, public_pem, rsa_key

LARGE = {"redis", "httpx", "jwt", "cryptography.hazmat.bindings._rust", "opentelemetry.exporter"}
BUILD = f"""
import sys
from pathlib import Path
from gateway.cli import main
from gateway.app import create_app
from gateway.config.load import load
create_app(load(Path(sys.argv[1]), environ={{}}).config)
print(*sorted({LARGE!r} & set(sys.modules)))
"""
CONFIG = """
store: {{url: "{store}"}}
issuers:
  students:
    profile: simplejwt
    algorithm: {algorithm}
    {key}
upstreams: {{students: {{servers: ["http://127.0.0.1:9"]}}}}
routes: [{{path: /, auth: required, issuers: [students], upstream: students}}]
"""


@pytest.mark.parametrize(
    ("store", "algorithm", "key", "loaded"),
    [
        ("memory://", "HS256", f"signing_key: {SECRET!r}", set()),
        ("redis://127.0.0.1:9/0", "HS256", f"signing_key: {SECRET!r}", {"redis"}),
        (
            "memory://",
            "RS256",
            "verifying_key: {file: key.pem}",
            {"jwt", "cryptography.hazmat.bindings._rust"},
        ),
        ("memory://", "RS256", "jwk_url: http://127.0.0.1:9/keys", {"httpx"}),
    ],
    ids=["a secret", "Redis", "a public key", "published keys"],
)
def test_a_worker_loads_what_its_configuration_needs(
    store: str, algorithm: str, key: str, loaded: set[str], tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text(public_pem(rsa_key()))
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(store=store, algorithm=algorithm, key=key))
    told = subprocess.run(
        [sys.executable, "-c", BUILD, str(file)], capture_output=True, text=True, check=True
    )
    assert set(told.stdout.split()) == loaded
