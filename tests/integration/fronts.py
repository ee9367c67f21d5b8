"""What stands before a gateway in real life: nginx, and a browser."""

import os
import shutil
import socket
from pathlib import Path

import pytest

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


def start_nginx(
    http: str, *, gateway: str, port: int, directory: Path, children: Processes
) -> None:
    """nginx with these lines of its `http` block; returns once it answers on the port.

    The gateway's address is the upstream `gateway`. Skips the test where there is no nginx.
    """
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        pytest.skip("nginx is not installed")
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(gateway=gateway.removeprefix("http://"), http=http))
    process = children.start(
        "nginx",
        [binary, "-p", directory, "-e", "stderr", "-c", config],
        log=directory / "nginx.log",
        cwd=directory,
    )
    process.wait_for(lambda: status_of(f"http://127.0.0.1:{port}"))


def free_ports(number: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


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
