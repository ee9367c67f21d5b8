"""What docs/incidents.md says to type when a token was stolen ends the user's sessions."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.integration.exchange import JSON, ask
from tests.integration.servers import RunningApp, RunningGateway

PAGE = Path(__file__).parents[2] / "docs" / "incidents.md"
USER = b'{"username": "user1", "password": "#beta123"}'


def test_a_token_that_the_app_makes_ends_all_sessions_of_its_user(
    students: RunningApp,
    run_gateway: Callable[[dict[str, Any]], RunningGateway],
    tmp_path: Path,
) -> None:
    gateway = run_gateway(
        {
            "issuers": {
                "students": {
                    "signing_key": {"file": str(students.secret_file)},
                    "endpoints": {"blacklist_all": "/api/token/blacklist-all/"},
                }
            },
            "upstreams": {"students": {"servers": [students.address]}},
            "routes": [{"path": "/", "upstream": "students", "issuers": ["students"]}],
        }
    )
    login = ask(gateway.address, "POST", "/gettoken/", headers=[JSON], body=USER)
    bearer = ("Authorization", f"Bearer {json.loads(login.body)['access']}")
    assert ask(gateway.address, "GET", "/studentapi/", headers=[bearer]).status == 200

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (typed,) = re.findall(r"^  ```sh\n(  python.*?)^  ```$", PAGE.read_text(), re.DOTALL | re.M)
    manage = shlex.join([str(students.example.python), str(students.example.sources / "manage.py")])
    script = (
        dedent(typed)
        .replace("python manage.py", manage)
        .replace("http://127.0.0.1:8080", gateway.address)
        .replace("username='ada'", "username='user1'")
    )
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SECRET_KEY": students.secret_file.read_text(),
            "DJANGO_DATABASE": str(students.database),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.startswith("HTTP/1.1 200 OK"), done.stdout
    assert ask(gateway.address, "GET", "/studentapi/", headers=[bearer]).status == 401
