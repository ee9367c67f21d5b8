"""docs/start.md does what it says, with a real project: its configuration, its curl lines."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.servers import RunningApp, RunningGateway
from tests.test_readme import blocks_of

PAGE = Path(__file__).parents[2] / "docs" / "start.md"
# The page speaks of simplejwt's own guide; the project here has paths and a user of its own.
OWN = {
    "/api/token/blacklist-all/": "/logout-all/",
    "/api/token/blacklist/": "/logout/",
    "/api/token/refresh/": "/refreshtoken/",
    "/api/token/verify/": "/verifytoken/",
    "/api/token/": "/gettoken/",
    "/api/me/": "/studentapi/",
    "username=ada": "username=user1",
    "password=secret": "password=#beta123",
}


def test_a_logout_counts_as_the_page_shows(
    students: RunningApp, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = PAGE.read_text()
    for theirs, own in OWN.items():
        page = page.replace(theirs, own)
    blocks = blocks_of(page)
    config = yaml.safe_load(blocks["yaml"][0])
    config["issuers"]["mysite"]["signing_key"] = {"file": str(students.secret_file)}
    config["upstreams"]["mysite"]["servers"] = [students.address]
    gateway = run_gateway(config)

    lines = [line for block in blocks["sh"] for line in block.splitlines()]
    login, *others = [line for line in lines if line.startswith("curl ")]
    tokens = json.loads(answer_of(login, gateway, {}))
    environment = {"ACCESS": tokens["access"], "REFRESH": tokens["refresh"]}
    assert len(others) == 3
    for line in others:
        shown = re.search(r"# (\d{3})", line)
        assert shown
        head = answer_of(line, gateway, environment).partition("\n")[0]
        assert head.split()[1] == shown[1], line


def answer_of(line: str, gateway: RunningGateway, environment: dict[str, str]) -> str:
    line = line.replace("http://127.0.0.1:8080", gateway.address)
    done = subprocess.run(
        ["bash", "-c", line],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout
