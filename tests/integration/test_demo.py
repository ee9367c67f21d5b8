"""The demo's runner: what it prints, what it refuses, and that it leaves nothing behind."""

import os
import re
import runpy
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples import demo
from examples.apps import APPS, App
from examples.processes import DemoError, Process, Processes
from examples.walkthrough import PUBLIC, WALKTHROUGHS, Line, run

STEPS = ["login", "call", "no token", "refresh", "verify", "logout"]
LINES = [(name, line) for name, lines in WALKTHROUGHS.items() for line in lines]


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


@pytest.fixture
def config() -> dict[str, Any]:
    loaded = yaml.safe_load((demo.ROOT / "config.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def free_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own ports may be in use on the machine that runs the tests."""
    monkeypatch.setattr(demo, "refuse_taken_addresses", lambda tcp, sockets: None)


# The lines to copy


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_lines_lead_through_the_life_of_a_token(app: App) -> None:
    names = [line.name for line in WALKTHROUGHS[app.name]]
    assert [name for name in names if name in STEPS] == STEPS


def test_the_lines_printed_are_the_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    demo.print_lines()
    printed = capsys.readouterr().out.splitlines()
    commands = [f"  {line.command}" for _, line in LINES]
    assert [row for row in printed if row in commands] == commands


@pytest.mark.parametrize(
    ("name", "line"),
    [case for case in LINES if case[1].status is not None],
    ids=lambda case: case.name if isinstance(case, Line) else case,
)
def test_each_line_is_routed_to_its_app(name: str, line: Line, config: dict[str, Any]) -> None:
    path = re.findall(re.escape(PUBLIC) + r"(/[^ )]*)", line.command)[0]
    host = next(iter(re.findall(r"Host: ([^']+)", line.command)), "127.0.0.1")
    paths = config["issuers"][name].get("endpoints", {}).values()
    expected = {
        "call": "required",
        "no token": "required",
        "call again": "required",
        "by host name": "optional",
    }
    if line.name not in expected:
        assert path in paths
        return
    route = next(
        route
        for route in config["routes"]
        if host in route.get("hosts", [host])
        and f"{path}/".startswith(f"{route['path']}/".replace("//", "/"))
    )
    assert route["upstream"] == name
    assert route["auth"] == expected[line.name]


def test_lines_share_one_shell_and_tell_their_status(processes: Processes, tmp_path: Path) -> None:
    lines = [
        Line("login", "TOKEN=abc; echo 'logged in [200]'", 200),
        Line("call", 'echo "$TOKEN [401]"', 200),
        Line("keep", "true", None),
    ]
    answers = run(lines, processes=processes, log=tmp_path / "check.log")
    assert [(a.text, a.status, a.is_expected) for a in answers] == [
        ("logged in [200]", 200, True),
        ("abc [401]", 401, False),
        ("", None, True),
    ]


@pytest.mark.parametrize(("status", "code"), [(200, True), (404, False)], ids=["ok", "failed"])
def test_check_tells_whether_all_answers_were_expected(
    status: int,
    code: bool,
    processes: Processes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        demo, "WALKTHROUGHS", {"students": (Line("login", f"echo 'answer [{status}]'", 200),)}
    )
    assert demo.check(processes, tmp_path) is code
    assert f"answer [{status}]" in capsys.readouterr().out


# config.yaml


def test_config_names_the_addresses_of_the_demo(config: dict[str, Any]) -> None:
    servers = {name: upstream["servers"] for name, upstream in config["upstreams"].items()}
    assert servers == {
        app.name: [
            app.bind.replace("unix:", f"unix:.demo/{app.name}/")
            if app.is_on_socket
            else f"http://{app.bind}"
        ]
        for app in APPS
    }
    assert "http://{host}:{port}".format(**config["server"]) == PUBLIC
    assert "http://{host}:{port}".format(**config["admin"]) == demo.ADMIN


# What it refuses


def test_a_taken_port_is_named_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(demo, "ADMIN", f"http://{address}")
        monkeypatch.setattr(demo, "present", lambda *_, **__: pytest.fail("was started"))
        assert demo.main([]) == 1
    assert re.search(rf"^demo: already in use: .*{address}", capsys.readouterr().err)


def test_a_port_just_released_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DemoError, match=address):
            demo.refuse_taken_addresses([address], [])
    demo.refuse_taken_addresses([address], [])


def test_a_socket_left_behind_is_free(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.path.relpath(path))
    demo.refuse_taken_addresses([], [path])


def test_a_socket_with_a_listener_is_taken(processes: Processes, tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))
        server.listen()
        with pytest.raises(DemoError, match=re.escape(str(path))):
            demo.refuse_taken_addresses([], [path])


def test_an_old_python_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or later"):
        runpy.run_path(str(demo.ROOT / "examples" / "__init__.py"))


# What it leaves behind: nothing


@pytest.mark.usefixtures("free_addresses")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("is_check", "code"), [(False, 0), (True, 1)], ids=["stay", "check"])
def test_a_signal_stops_whatever_was_started(
    number: signal.Signals,
    is_check: bool,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Process] = []

    def present(processes: Processes, **_: Any) -> bool:
        command = ["sleep", "60"]
        started.append(processes.start("app", command, log=tmp_path / "log", cwd=tmp_path))
        os.kill(os.getpid(), number)
        processes.run("step", command, log=tmp_path / "log", cwd=tmp_path)
        return True

    monkeypatch.setattr(demo, "present", present)
    assert demo.demo(is_check=is_check, state=tmp_path) == code
    assert all(process.has_ended for process in started)


@pytest.mark.usefixtures("free_addresses")
def test_an_app_that_ends_by_itself_ends_the_demo_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def present(processes: Processes, **_: Any) -> bool:
        command = ["sh", "-c", "echo no such table; exit 3"]
        processes.start("students", command, log=tmp_path / "log", cwd=tmp_path)
        return True

    monkeypatch.setattr(demo, "present", present)
    assert demo.main([]) == 1
    told = capsys.readouterr().err
    assert "students: ended by itself" in told
    assert "no such table" in told


def test_a_failed_step_shows_the_end_of_its_own_output(
    processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("an earlier run\n")
    with pytest.raises(DemoError, match="exit code 7") as raised:
        processes.run(
            "students", ["sh", "-c", "echo why; exit 7"], log=tmp_path / "log", cwd=tmp_path
        )
    assert "why" in str(raised.value)
    assert "an earlier run" not in str(raised.value)


def test_stopping_reaches_what_a_process_has_started(processes: Processes, tmp_path: Path) -> None:
    held_open = tmp_path / "held-open"
    os.mkfifo(held_open)
    process = processes.start(
        "app", ["sh", "-c", f"sleep 60 > {held_open} & wait"], log=tmp_path / "log", cwd=tmp_path
    )
    with held_open.open("rb") as reader:
        process.stop()
        assert reader.read() == b""  # returns once the last writer is gone


def test_nothing_is_started_once_stopped(processes: Processes, tmp_path: Path) -> None:
    processes.stop()
    with pytest.raises(DemoError, match="stopping"):
        processes.start("app", ["sleep", "60"], log=tmp_path / "log", cwd=tmp_path)


def test_a_process_that_never_gets_ready_is_given_up(processes: Processes, tmp_path: Path) -> None:
    process = processes.start("app", ["sleep", "60"], log=tmp_path / "log", cwd=tmp_path)
    with pytest.raises(DemoError, match="was not ready within 0 s"):
        process.wait_for(lambda: None, seconds=0)
