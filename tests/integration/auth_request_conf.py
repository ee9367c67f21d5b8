"""What the tests of deploy/nginx/auth_request.conf share: nginx with the file, and who it asks."""

from dataclasses import dataclass
from pathlib import Path

from examples.processes import Processes
from tests.integration.exchange import JSON, Answer, ask
from tests.integration.fronts import start_deployed
from tests.integration.servers import RunningGateway
from tests.ports import free_ports

WHO = b'{"username": "user1", "password": "#beta123"}'


@dataclass(frozen=True, slots=True)
class Site:
    """nginx, the gateway that it asks, and the app that it forwards to."""

    address: str
    gateway: RunningGateway
    decisions: Path

    def log_in(self) -> dict[str, str]:
        pair: dict[str, str] = ask(
            self.address, "POST", "/gettoken/", headers=[JSON], body=WHO
        ).json()
        return pair

    def call(self, path: str, *fields: tuple[str, str], token: str = "") -> Answer:
        bearer = [("Authorization", f"Bearer {token}")] if token else []
        return ask(self.address, "GET", path, headers=[*bearer, *fields])


def start(gateway: RunningGateway, *, app: str, directory: Path, children: Processes) -> Site:
    """nginx with the file as it stands, but for where the three are."""
    (port,) = free_ports(1)
    decisions = directory / "decisions"
    places = {
        "/dev/shm/gateway-decisions": str(decisions),
        "listen 80 ": f"listen 127.0.0.1:{port} ",
        "server 127.0.0.1:8080;": f"server {gateway.address.removeprefix('http://')};",
        "server 127.0.0.1:8001;": f"server {app.removeprefix('http://')};",
    }
    start_deployed("auth_request.conf", places, port=port, directory=directory, children=children)
    return Site(f"http://127.0.0.1:{port}", gateway, decisions)
