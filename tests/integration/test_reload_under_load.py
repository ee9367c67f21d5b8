"""Reloads under load: no request notices, and what can't be taken changes nothing."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.integration.load import Load
from tests.integration.servers import ROOT, RunningGateway

Run = Callable[[dict[str, Any]], RunningGateway]

REQUESTS = 10_000
RELOADS = 20


def _config(address: str, **server: Any) -> dict[str, Any]:
    return {
        "server": server,
        "logging": {"access_log": False},
        "upstreams": {"echo": {"servers": [address]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


async def test_10000_requests_on_kept_and_new_connections_outlive_reloads(
    echo: str, run_gateway: Run
) -> None:
    gateway = run_gateway(_config(echo))
    file = gateway.process.log.parent / "config.yaml"
    config = yaml.safe_load(file.read_text())
    reloads = 0
    async with Load(gateway.address).running(kept=6, anew=4) as load:
        while load.answered < REQUESTS or reloads < RELOADS:
            await load.until_answered(REQUESTS // RELOADS)
            config["server"]["keep_alive"] = f"{60 + reloads}s"
            config["upstreams"]["echo"]["timeouts"] = {"read": f"{30 + reloads}s"}
            file.write_text(yaml.safe_dump(config))
            done = await asyncio.to_thread(reload, file)
            assert done.returncode == 0, done
            assert "server.keep_alive: " in done.stdout
            reloads += 1
    assert not load.lost
    assert not load.raced
    assert not load.refused
    assert set(load.statuses) == {200}


def reload(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "reload", "--config", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
