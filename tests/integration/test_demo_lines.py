"""The demo's lines against the three real apps, with curl and with what stands in for it."""

import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from examples import walkthrough
from examples.processes import Processes
from examples.walkthrough import PUBLIC, WALKTHROUGHS, Line
from tests.integration.servers import RunningGateway

STAND_IN = Path(walkthrough.__file__).with_name("curl.py")
# Each form that the lines have: no body, a field, JSON, another host, a token.
ASKED = [
    "http://ADDRESS/studentapi/",
    "-d 'refresh=a.b-c_d' http://ADDRESS/logout/",
    """-H 'Content-Type: application/json' -d '{"username": "ü"}' http://ADDRESS/gettoken/""",
    "-H 'Host: accounts.localhost' -H 'Authorization: Bearer a.b.c' http://ADDRESS/hello/",
]


@pytest.mark.parametrize("name", WALKTHROUGHS)
@pytest.mark.parametrize("has_curl", [True, False], ids=["curl", "stand-in"])
def test_every_line_is_answered_as_it_says(
    name: str,
    has_curl: bool,
    gateway: RunningGateway,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_curl:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    elif shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    lines = [
        replace(line, command=line.command.replace(PUBLIC, gateway.address))
        for line in WALKTHROUGHS[name]
    ]
    with Processes() as processes:
        answers = walkthrough.run(lines, processes=processes, log=tmp_path / "lines.log")
    assert [answer.text for answer in answers if not answer.is_expected] == []
    assert len(answers) == len(lines)


@pytest.mark.parametrize("arguments", ASKED)
def test_the_stand_in_asks_and_tells_as_curl_does(arguments: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    asked: list[tuple[str, ...]] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            names = ("Host", "Content-Type", "Authorization")
            asked.append(
                (self.command, self.path, body.decode(), *(self.headers.get(n, "") for n in names))
            )
            self.send_response(401)
            self.end_headers()
            self.wfile.write('{"detail": "ü"}'.encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Nothing beside what pytest tells."""

    told = []
    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        said = shlex.split(arguments.replace("ADDRESS", f"127.0.0.1:{server.server_port}"))
        for command in ([curl, "-q"], [sys.executable, "-B", STAND_IN]):
            done = subprocess.run(
                [*command, "-sS", "-w", r" [%{http_code}]\n", *said],
                env={"LC_ALL": "C.UTF-8"},
                capture_output=True,
                text=True,
            )
            told.append((done.returncode, done.stdout, done.stderr))
        server.shutdown()
    assert asked[0] == asked[1]
    assert told[0] == told[1] == (0, '{"detail": "ü"} [401]\n', "")


def test_the_stand_in_says_whom_it_could_not_reach(tmp_path: Path) -> None:
    line = Line("call", f"{sys.executable} -B {STAND_IN} http://127.0.0.1:9/hello/; true", None)
    with Processes() as processes:
        (answer,) = walkthrough.run([line], processes=processes, log=tmp_path / "lines.log")
    assert answer.text.startswith("curl: http://127.0.0.1:9/hello/: ")
    assert answer.status is None
