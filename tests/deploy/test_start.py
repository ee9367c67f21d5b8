"""How soon a gateway is ready outside of a container, with what its image runs."""

import secrets
import time
from pathlib import Path
from statistics import median

from examples.processes import Processes
from tests.conftest import Figure
from tests.integration.servers import start_gateway


def test_a_gateway_is_ready_within_seconds(tmp_path: Path, figure: Figure) -> None:
    (tmp_path / "key").write_text(secrets.token_urlsafe(50))
    issuer = {"profile": "simplejwt", "algorithm": "HS256", "signing_key": {"file": "key"}}
    config = {
        "server": {"workers": 1},
        "issuers": {"students": issuer},
        "upstreams": {"students": {"servers": ["http://127.0.0.1:9"]}},
        "routes": [
            {"path": "/", "auth": "required", "issuers": ["students"], "upstream": "students"}
        ],
    }
    took = []
    for _ in range(3):
        with Processes() as children:
            started = time.monotonic()
            gateway = start_gateway(config, directory=tmp_path, children=children)
            took.append(time.monotonic() - started)
            assert gateway.readiness().json() == {"status": "ready"}
    figure(f"process start to the first 200 of /readyz: {median(took):.2f} s, of three the median")
    assert median(took) < 10
