"""The live project under an ASGI server of its own, and a gateway before it."""

import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from examples.apps import status_of
from examples.processes import Process, Processes
from tests.factories import SECRET
from tests.integration.exchange import Answer, ask
from tests.integration.servers import ROOT, RunningGateway, start_gateway

_LARGEST = str(64 << 20)  # a message's bytes
_COMMANDS = {
    "daphne": [
        "daphne", "-b", "127.0.0.1", "-p", "0", "--websocket-max-message-size", _LARGEST,
        "--websocket-max-frame-size", _LARGEST, "project:application",
    ],
    "uvicorn": ["uvicorn", "--port", "0", "--ws-max-size", _LARGEST, "project:application"],
}  # fmt: skip
_LISTENING = re.compile(r"Listening on TCP address (\S+:\d+)|running on http://(\S+:\d+)")


@dataclass(frozen=True, slots=True)
class Live:
    """The project, and the gateway before it."""

    kind: str
    app: Process
    app_address: str
    gateway: RunningGateway

    @property
    def address(self) -> str:
        return self.gateway.address.replace("http://", "ws://")

    def post(self, path: str, body: bytes = b"{}") -> Answer:
        fields = [("Content-Type", "application/json")]
        return ask(self.gateway.address, "POST", path, headers=fields, body=body)

    def log_in(self) -> dict[str, str]:
        pair: dict[str, str] = self.post("/gettoken/").json()
        return pair

    def log_out(self, pair: dict[str, str]) -> None:
        answer = self.post("/logout/", b'{"refresh": "%b"}' % pair["refresh"].encode())
        assert answer.status == 200

    def left(self, path: str) -> int:
        """With which code the app saw the next socket of this path end."""
        code = ask(self.app_address, "GET", f"/left{path}").json()["code"]
        assert isinstance(code, int)
        return code

    def poured(self) -> int:
        """How many pieces the app's sockets have poured by now."""
        pieces = ask(self.app_address, "GET", "/poured/").json()["pieces"]
        assert isinstance(pieces, int)
        return pieces

    def open_sockets(self) -> int:
        metrics = ask(self.gateway.admin, "GET", "/metrics").body.decode()
        found = re.search(r"^gateway_open_websockets (\d+)", metrics, re.MULTILINE)
        assert found
        return int(found[1])

    def memory(self) -> int:
        """What the gateway has in memory now, in bytes."""
        status = Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s*(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    @contextlib.asynccontextmanager
    async def socket(
        self, path: str = "/ws/", *, token: str | None = None, **settings: Any
    ) -> AsyncIterator[ClientConnection]:
        headers = {"Authorization": f"Bearer {token or self.log_in()['access']}"}
        settings = {"max_size": None, "additional_headers": headers, **settings}
        async with connect(self.address + path, **settings) as socket:
            yield socket


def start_live(
    kind: str, *, directory: Path, children: Processes, page: str = "", **server: Any
) -> Live:
    """The project under `kind`, daphne or uvicorn; `server` are settings of the gateway."""
    app = children.start(
        kind,
        [sys.executable, "-B", "-m", *_COMMANDS[kind]],
        log=directory / f"{kind}.log",
        cwd=ROOT / "tests" / "integration" / "live",
        env={**os.environ, "LIVE_SECRET": SECRET, "LIVE_PAGE": page},
    )
    found = app.wait_for(lambda: _LISTENING.search(app.output()))
    address = f"http://{found[1] or found[2]}"
    app.wait_for(lambda: status_of(address))
    config = {
        "server": server,
        "issuers": {
            "app": {
                "signing_key": SECRET,
                "endpoints": {"obtain": "/gettoken/", "blacklist": "/logout/"},
            }
        },
        "upstreams": {"live": {"servers": [address]}},
        "routes": [
            {
                "path": "/ws/",
                "issuers": ["app"],
                "upstream": "live",
                "websocket": {"subprotocol": "access_token", "query": "token"},
            },
            {"path": "/page/", "auth": "none", "upstream": "live"},
            {"path": "/", "issuers": ["app"], "upstream": "live"},
        ],
    }
    gateway = start_gateway(config, directory=directory, children=children)
    return Live(kind, app, address, gateway)
