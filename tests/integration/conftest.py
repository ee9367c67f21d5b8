"""Real servers for the integration tests, started once and shared: apps, echo app, gateways.

Making the apps' environments is slow the first time; they are the demo's own and kept.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.apps import STATE, Example
from examples.processes import Processes
from tests.integration.exchange import JSON, ask
from tests.integration.servers import (
    ROOT,
    RunningApp,
    RunningEcho,
    RunningGateway,
    start_echo,
    start_gateway,
)


@pytest.fixture(scope="session")
def children() -> Iterator[Processes]:
    """Whatever is started for the tests is stopped with them."""
    with Processes() as started:
        yield started


@pytest.fixture(scope="session")
def start_app(
    children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], RunningApp]:
    state = tmp_path_factory.mktemp("apps")

    def start(name: str, bind: str) -> RunningApp:
        example = Example(
            name, processes=children, state=state, environments=STATE / "environments"
        )
        example.prepare()
        return RunningApp(example, example.start(bind))

    return start


@pytest.fixture(scope="session")
def students(start_app: Callable[[str, str], RunningApp]) -> RunningApp:
    return start_app("students", "127.0.0.1:0")


@pytest.fixture(scope="session")
def accounts(start_app: Callable[[str, str], RunningApp]) -> RunningApp:
    return start_app("accounts", "unix:gunicorn.sock")


@pytest.fixture(scope="session")
def employees(start_app: Callable[[str, str], RunningApp]) -> RunningApp:
    return start_app("employees", "127.0.0.1:0")


@pytest.fixture(scope="session")
def gateway(
    students: RunningApp,
    accounts: RunningApp,
    employees: RunningApp,
    children: Processes,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunningGateway:
    """The repository's own config.yaml, with the apps where they run now."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    apps = {"students": students, "accounts": accounts, "employees": employees}
    for name, app in apps.items():
        config["upstreams"][name]["servers"] = [app.address]
    for name in ("students", "employees"):
        config["issuers"][name]["signing_key"] = {"file": str(apps[name].secret_file)}
    public = accounts.example.state / "public.pem"
    config["issuers"]["accounts"]["verifying_key"] = {"file": str(public)}
    return start_gateway(config, directory=tmp_path_factory.mktemp("gateway"), children=children)


@pytest.fixture(scope="session")
def run_echo(
    students: RunningApp, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunningEcho]:
    """Starts an echo app, which runs in the environment of students."""

    def run(*, directory: Path | None = None, **how: int) -> RunningEcho:
        directory = directory or tmp_path_factory.mktemp("echo")
        return start_echo(students.example.python, directory=directory, children=children, **how)

    return run


@pytest.fixture(scope="session")
def echo(run_echo: Callable[..., RunningEcho]) -> str:
    """The address of the echo app that all tests share."""
    return run_echo().address


@pytest.fixture
def own_echo(run_echo: Callable[..., RunningEcho]) -> Iterator[RunningEcho]:
    """An echo app of the test's own, to hold requests in or to kill."""
    echo = run_echo()
    yield echo
    echo.die()  # without waiting for what it may still hold


@pytest.fixture(scope="module")
def student_token(students: RunningApp) -> str:
    body = b'{"username": "user1", "password": "#beta123"}'
    answer = ask(students.address, "POST", "/gettoken/", headers=[JSON], body=body)
    token = answer.json()["access"]
    assert isinstance(token, str)
    return token


@pytest.fixture
def run_gateway(
    children: Processes, tmp_path: Path
) -> Iterator[Callable[[dict[str, Any]], RunningGateway]]:
    """Starts a gateway for one test."""
    started: list[RunningGateway] = []

    def run(config: dict[str, Any]) -> RunningGateway:
        directory = tmp_path / f"gateway{len(started)}"
        directory.mkdir()
        started.append(start_gateway(config, directory=directory, children=children))
        return started[-1]

    yield run
    for gateway in started:
        gateway.process.stop()
