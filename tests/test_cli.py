"""The `gateway` command: what it prints, where, and the exit code."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway import __version__
from gateway.cli import main
from gateway.config import Config, json_schema

SECRET = "0123456789abcdef" * 4

FILE = """\
issuers:
  students: {signing_key: %s}
upstreams:
  students: {servers: ["http://127.0.0.1:8001"]}
routes:
  - {path: /login, auth: none, upstream: students}
  - {path: /open/, auth: optional, issuers: [students], upstream: students, methods: [GET]}
  - {path: /, hosts: [api.example.org], issuers: [students], upstream: students}
  - {path: =/open/x, auth: none, upstream: students}
"""


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE.replace("%s", SECRET), encoding="utf-8")
    return path


class TestCheck:
    def test_a_good_file_is_ok(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", "--config", str(file)]) == 0
        assert capsys.readouterr() == ("ok\n", "")

    def test_the_option_may_stand_before_the_command(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--config", str(file), "check"]) == 0
        assert capsys.readouterr().out == "ok\n"

    def test_the_file_may_be_named_by_the_environment(
        self, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GATEWAY_CONFIG", str(file))

        assert main(["check"]) == 0
        assert capsys.readouterr().out == "ok\n"

    def test_the_file_of_the_working_directory_is_taken(
        self, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(file.parent)
        file.write_text("server: {port: x}\n", encoding="utf-8")

        assert main(["check"]) == 2
        assert "config.yaml:1: server.port: must be a whole number\n" in capsys.readouterr().out

    def test_each_fault_is_a_line(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text(
            FILE.replace("%s", "short").replace("path: /login", "path: login"), encoding="utf-8"
        )

        assert main(["check", "--config", str(file)]) == 2

        out, err = capsys.readouterr()
        lines = out.replace(f"{file.parent}/", "").splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("config.yaml:2: issuers.students.signing_key: ")
        assert lines[1].startswith("config.yaml:6: routes[0].path: must start with /")
        assert err == ""

    def test_a_doubt_goes_to_stderr(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = FILE.replace("%s", "k" * 40).replace('"http://127.0.0.1:8001"', "unix:gone.sock")
        file.write_text(text + "  - {path: /b, auth: none, upstream: students}\n", encoding="utf-8")

        assert main(["check", "--config", str(file)]) == 0

        out, err = capsys.readouterr()
        assert out == "ok\n"
        assert err.count("warning: ") == len(err.splitlines())
        assert "config.yaml:4: upstreams.students.servers[0]: no socket is there" in err
        assert "k" * 40 not in err

    def test_the_gateways_own_socket_needs_a_directory(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = FILE.replace("%s", "k" * 40)
        for place, is_told in (("gone/gateway.sock", True), ("gateway.sock", False)):
            file.write_text(f"{text}server: {{host: 'unix:{place}'}}\n", encoding="utf-8")
            assert main(["check", "--config", str(file)]) == 0
            err = capsys.readouterr().err
            assert ("server.host: no directory is there at present" in err) is is_told

    def test_a_key_that_verifies_alone_may_be_doubtful(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = FILE.replace("signing_key: %s", f"verifying_key: {'k' * 40}")
        file.write_text(text, encoding="utf-8")

        assert main(["check", "--config", str(file)]) == 0
        assert "config.yaml:2: issuers.students.verifying_key: " in capsys.readouterr().err

    def test_a_socket_that_is_there_is_no_doubt(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = file.parent / "s"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            assert stat.S_ISSOCK(path.stat().st_mode)
            text = FILE.replace("%s", SECRET).replace('"http://127.0.0.1:8001"', "unix:s")
            file.write_text(text, encoding="utf-8")

            assert main(["check", "--config", str(file)]) == 0

        assert capsys.readouterr().err == ""


class TestRun:
    @pytest.fixture
    def served(self, monkeypatch: pytest.MonkeyPatch) -> list[Config]:
        """What would have been served."""
        configs: list[Config] = []

        def serve(config: Config, **_: object) -> int:
            configs.append(config)
            return 1

        monkeypatch.setattr("gateway.app.serve", serve)
        return configs

    def test_options_override_the_file(self, file: Path, served: list[Config]) -> None:
        options = ["--host", "0.0.0.0", "--port", "9000", "--workers", "1", "--log-level", "debug"]

        assert main(["run", "--config", str(file), *options]) == 1

        (config,) = served
        assert (config.server.host, config.server.port) == ("0.0.0.0", 9000)
        assert config.logging.level == "debug"

    def test_without_options_the_file_counts(self, file: Path, served: list[Config]) -> None:
        main(["run", "--config", str(file)])

        assert served[0].server.port == 8080

    def test_faults_go_to_stderr(
        self, file: Path, served: list[Config], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["run", "--config", str(file), "--port", "x", "--workers", "2"]) == 2

        out, err = capsys.readouterr()
        assert served == []
        assert out == ""
        assert err.splitlines()[0] == "command line: server.port: must be a whole number"
        assert err.splitlines()[1].startswith("command line: server.workers: more than one")
        assert "Redis" in err

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
    def test_a_signal_ends_it_gracefully(self, file: Path, number: signal.Signals) -> None:
        text = FILE.replace("%s", SECRET) + "server: {port: 0}\nadmin: {port: 0}\n"
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "gateway", "run", "--config", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            while b"listening on" not in said:
                assert said, "ended before it listened"
                said = process.stdout.readline()
            process.send_signal(number)
            rest = process.stdout.read()

        assert process.returncode == 0
        assert b"Traceback" not in rest


EXPLAINED = {
    "the first": (
        ["GET", "/login/x?next=/"],
        [
            "GET /login/x without a host",
            "routes[0]  /login  answers",
            "config.yaml:6: to upstream students; no token",
        ],
    ),
    "percent-encoded": (
        ["GET", "http://localhost:8080/%6Fpen/y"],
        [
            "GET /open/y for the host localhost",
            "routes[0]  /login      path differs",
            "routes[1]  GET /open/  answers",
            "config.yaml:7: to upstream students; a token of students is verified if given",
        ],
    ),
    "by host": (
        ["POST", "https://API.example.org:443"],
        [
            "POST / for the host api.example.org",
            "routes[0]  /login            path differs",
            "routes[1]  GET /open/        path differs",
            "routes[2]  api.example.org/  answers",
            "config.yaml:8: to upstream students; a token of students is required",
        ],
    ),
    "an own path": (
        ["POST", "/logout/"],
        [
            "POST /logout/ without a host",
            "config.yaml:2: answered here: blacklist of issuer students",
        ],
    ),
    "an own path without its slash": (
        ["POST", "http://localhost/logout"],
        [
            "POST /logout for the host localhost",
            "config.yaml:2: redirected with 301 to /logout/, blacklist of issuer students",
        ],
    ),
    "the login with another method": (
        ["GET", "/gettoken/"],
        [
            "GET /gettoken/ without a host",
            "config.yaml:2: to upstream students; obtain of issuer students answers POST alone",
        ],
    ),
    "another spelling of an own path": (
        ["POST", "http://localhost//logout/"],
        ["POST //logout/ for the host localhost", "refused: 400 path_invalid"],
    ),
    "a method that is never forwarded": (
        ["TRACE", "/logout/"],
        ["TRACE /logout/ without a host", "refused: 405 method_refused"],
    ),
    "by method": (
        ["POST", "/open/x"],
        [
            "POST /open/x without a host",
            "routes[0]  /login            path differs",
            "routes[1]  GET /open/        method differs",
            "routes[2]  api.example.org/  host differs",
            "routes[3]  =/open/x          answers",
            "config.yaml:9: to upstream students; no token",
        ],
    ),
    "none": (
        ["GET", "http://localhost?x=1"],
        [
            "GET / for the host localhost",
            "routes[0]  /login            path differs",
            "routes[1]  GET /open/        path differs",
            "routes[2]  api.example.org/  host differs",
            "routes[3]  =/open/x          path differs",
            "answered: 404 route_not_found: no route matches this request",
        ],
    ),
    "read in two ways": (
        ["GET", "//login"],
        [
            "GET //login without a host",
            "routes[0]  /login            path differs",
            "routes[1]  GET /open/        path differs",
            "routes[2]  api.example.org/  host differs",
            "routes[3]  =/open/x          path differs",
            "refused: 400 path_invalid: the path can be read in two ways",
        ],
    ),
    "dot segments": (
        ["GET", "/open/%2e%2e/login"],
        ["refused: 400 path_invalid: the path contains dot segments"],
    ),
    "no host in the URL": (
        ["GET", "http:///login"],
        ["refused: 400 host_invalid: this URL names no valid host"],
    ),
    "no path": (
        ["GET", "login"],
        ["refused: 400 path_invalid: the request target must be a p"],
    ),
    "undecodable": (
        ["GET", "/login/%FF"],
        [
            "GET /login/� without a host",
            "routes[0]  /login  answers",
            "config.yaml:6: to upstream students; no token",
        ],
    ),
}


class TestRoutes:
    def test_the_table_shows_the_order(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["routes", "--config", str(file)]) == 0

        routes, _, endpoints = capsys.readouterr().out.partition("\n\n")
        header, *rows = routes.splitlines()
        assert header.split() == ["name", "hosts", "methods", "path", "auth", "issuers", "upstream"]
        assert [row.split()[0] for row in rows] == ["[0]", "[1]", "[2]", "[3]"]
        assert rows[0].split()[1:] == ["/login", "*", "*", "/login", "none", "-", "students"]
        assert re.split(r"\s{2,}", rows[1])[1:] == [
            "GET /open/", "*", "GET", "/open/", "optional", "students", "students",
        ]  # fmt: skip
        assert len({row.rindex("students") for row in rows}) == 1  # aligned
        assert [row.split() for row in endpoints.splitlines()[2:]] == [
            [f"students:{key}", "*", "POST", path, "students"]
            for key, path in (
                ("obtain", "/gettoken/"),
                ("refresh", "/refreshtoken/"),
                ("verify", "/verifytoken/"),
                ("blacklist", "/logout/"),
            )
        ]

    @pytest.mark.parametrize(("request_", "lines"), EXPLAINED.values(), ids=EXPLAINED)
    def test_a_request_is_explained(
        self,
        file: Path,
        capsys: pytest.CaptureFixture[str],
        request_: list[str],
        lines: list[str],
    ) -> None:
        assert main(["routes", "--config", str(file), "--explain", *request_]) == 0

        shown = capsys.readouterr().out.replace(f"{file.parent}/", "").splitlines()
        assert len(shown) == len(lines)
        for line, expected in zip(shown, lines, strict=True):
            assert line.startswith(expected)

    @pytest.mark.parametrize(
        ("origins", "told"),
        [("https://a.example, 'null'", "https://a.example, null"), ("'*'", "any origin")],
    )
    def test_it_is_told_whose_pages_can_read_the_answer(
        self, file: Path, capsys: pytest.CaptureFixture[str], origins: str, told: str
    ) -> None:
        file.write_text(
            file.read_text() + f"  - {{path: /, auth: none, upstream: students, "
            f"cors: {{origins: [{origins}]}}}}\n"
        )
        for path, can_read in [("/gettoken/", True), ("/logout", True), ("/login", False)]:
            assert main(["routes", "--config", str(file), "--explain", "POST", path]) == 0
            last = capsys.readouterr().out.splitlines()[-1]
            assert last.endswith(f"; pages of {told} can read it") is can_read

    def test_a_bad_file_has_no_table(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text("", encoding="utf-8")

        assert main(["routes", "--config", str(file)]) == 2
        assert capsys.readouterr() == ("", f"{file}:1: is empty\n")


class TestHealthcheck:
    @pytest.fixture
    def admin(self) -> Iterator[HTTPServer]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(status[0])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        asked: list[str] = []
        status = [200]
        server = HTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.status = asked, status  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.server_close()

    def check(self, file: Path, port: int, host: str = "127.0.0.1") -> int:
        text = FILE.replace("%s", SECRET) + f'admin: {{host: "{host}", port: {port}}}\n'
        file.write_text(text, encoding="utf-8")
        return main(["healthcheck", "--config", str(file)])

    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
    def test_ready(
        self, file: Path, admin: HTTPServer, capsys: pytest.CaptureFixture[str], host: str
    ) -> None:
        assert self.check(file, admin.server_port, host) == 0
        assert capsys.readouterr() == ("ready\n", "")
        assert admin.asked == ["/readyz"]  # type: ignore[attr-defined]

    def test_not_ready(
        self, file: Path, admin: HTTPServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.status[0] = 503  # type: ignore[attr-defined]

        assert self.check(file, admin.server_port) == 1
        assert capsys.readouterr() == ("not ready: /readyz answers 503\n", "")

    def test_nobody_listens(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))

            assert self.check(file, reserved.getsockname()[1]) == 1

        assert capsys.readouterr() == ("not ready: Connection refused\n", "")

    def test_silence(
        self, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.cli.commands.PROBE_TIMEOUT", 0.05)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            assert self.check(file, silent.getsockname()[1]) == 1

        assert capsys.readouterr() == ("not ready: no answer within 0.05 s\n", "")

    def test_something_else_listens(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=answer)
            thread.start()
            assert self.check(file, server.getsockname()[1]) == 1
            thread.join()

        assert capsys.readouterr() == ("not ready: no HTTP answer\n", "")

    def test_a_bad_file(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text("", encoding="utf-8")

        assert main(["healthcheck", "--config", str(file)]) == 1
        assert capsys.readouterr() == (f"not ready: {file}:1: is empty\n", "")


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"gateway {__version__}\n"


def test_help_teaches_commands_precedence_and_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0

    text = capsys.readouterr().out
    for command in (
        "run", "reload", "check", "routes", "init", "schema", "healthcheck", "version",
    ):  # fmt: skip
        assert re.search(rf"^    {command} +\w", text, re.MULTILINE)
    for word in ("GATEWAY_SERVER__PORT", "${VAR:-default}", "{file: PATH}", "exit codes"):
        assert word in text


@pytest.mark.parametrize(
    "command",
    ["run", "reload", "check", "routes", "init", "schema", "healthcheck", "version"],
)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: gateway {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["serve"], ["run", "--prot", "1"], ["routes", "--explain", "GET"]]
)
def test_a_wrong_command_line_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage: gateway" in capsys.readouterr().err


def test_ctrl_c_leaves_no_traceback(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Config, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.app.serve", interrupted)

    assert main(["run", "--config", str(file)]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "schema"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (1, b"")


def test_a_reader_that_leaves_early_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        """A standard output whose reader has left."""

        def __init__(self) -> None:
            self.file = (tmp_path / "out").open("wb")

        def write(self, _: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            pass

        def fileno(self) -> int:
            return self.file.fileno()

    gone = Gone()
    monkeypatch.setattr(sys, "stdout", gone)
    with gone.file:
        assert main(["version"]) == 1
