"""What stands before a gateway in real life: nginx, and a browser."""

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from examples.apps import status_of
from examples.processes import Processes

_NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    upstream gateway {{ server {gateway}; keepalive 8; }}
{http}}}
"""

DEPLOYED = Path(__file__).parents[2] / "deploy" / "nginx"
_MODULES = Path("/usr/lib/nginx/modules")  # Debian's
_SET_MISC = ("ndk_http_module.so", "ngx_http_set_misc_module.so")
_DEPLOYED = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include {name};
}}
"""


def start_nginx(
    http: str, *, gateway: str, port: int, directory: Path, children: Processes
) -> None:
    """nginx with these lines of its `http` block; returns once it answers on the port.

    The gateway's address is the upstream `gateway`. Skips the test where there is no nginx.
    """
    config = _NGINX.format(gateway=gateway.removeprefix("http://"), http=http)
    _start(config, port=port, directory=directory, children=children)


def start_deployed(
    name: str,
    places: Mapping[str, str],
    *,
    port: int,
    directory: Path,
    children: Processes,
) -> None:
    """nginx with a file of `deploy/nginx` as it stands there, but for these places.

    Skips the test where there is no nginx, or none with set-misc for a file that needs it.
    """
    text = (DEPLOYED / name).read_text()
    for place, here in places.items():
        assert place in text, place
        text = text.replace(place, here)
    (directory / name).write_text(text)
    config = _DEPLOYED.format(name=name)
    if os.geteuid() == 0:  # its workers would be nobody, and see nothing of this directory
        config = f"user root;\n{config}"
    if "set_hmac_sha256" in text:
        if not all((_MODULES / name).exists() for name in _SET_MISC):
            pytest.skip("set-misc is not installed (Debian: libnginx-mod-http-set-misc)")
        loads = [f"load_module {_MODULES / name};\n" for name in _SET_MISC]
        config = "".join([*loads, config])
    _start(config, port=port, directory=directory, children=children)


def _start(text: str, *, port: int, directory: Path, children: Processes) -> None:
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.skip("nginx is not installed")
    config = directory / "nginx.conf"
    config.write_text(text)
    process = children.start(
        "nginx",
        [binary, "-p", directory, "-e", "stderr", "-c", config],
        log=directory / "nginx.log",
        cwd=directory,
    )
    process.wait_for(lambda: status_of(f"http://127.0.0.1:{port}"))


def certificate() -> bytes:
    """One for localhost that nobody vouches for, with its key behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(),
        serial_number=x509.random_serial_number(), not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    )  # fmt: skip
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate + private


def chromium(page: str, *, profile: Path) -> list[str]:
    """The command of a browser that shows this page until it is stopped; skips without one."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed")
    return [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", f"--user-data-dir={profile}",
        "--remote-debugging-port=0",  # stays until it is stopped
        page,
    ]  # fmt: skip
