"""compose.yaml: right by its schema, and really run, with the demo's lines through nginx's TLS."""

import http.client
import json
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from examples.processes import Processes
from examples.walkthrough import PUBLIC, WALKTHROUGHS, run
from gateway.config import load
from tests.conftest import Figure
from tests.deploy.conftest import APPS, SERVERS
from tests.deploy.containers import ROOT, Containers
from tests.ports import free_port

GATEWAYS = ("gateway-tested_gateway-1_1", "gateway-tested_gateway-2_1")
_COMPOSE = (sys.executable, "-m", "podman_compose", "--project-name", "gateway-tested")


def test_the_composition_is_right_by_its_schema() -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    schema["properties"]["name"] = {"type": "string"}  # which the format had later
    judge = jsonschema.Draft7Validator(schema)
    composition = yaml.safe_load((ROOT / "compose.yaml").read_text())
    judge.validate(composition)
    composition["services"]["nginx"]["imagee"] = "a slip"
    with pytest.raises(jsonschema.ValidationError):
        judge.validate(composition)


def test_what_faces_clients_or_holds_sessions_is_confined() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("gateway-1", "gateway-2", "redis", *APPS):
        assert services[name]["read_only"], name
        assert services[name]["cap_drop"] == ["ALL"], name
    command = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_both_builds_stand_on_one_base() -> None:
    pinned = next(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if "ARG BASE=" in line
    ).removeprefix("ARG BASE=")
    assert pinned in (ROOT / "compose.yaml").read_text()


def test_the_gateways_configuration_is_right(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    text = (ROOT / "deploy/compose/gateway.yaml").read_text()
    file.write_text(text.replace("/secrets/", f"{tmp_path}/"))
    for name in ("students", "employees", "public.pem"):
        (tmp_path / name).write_text("a" * 64)
    assert load(file, environ={}).config.store.url == "redis://redis:6379/0"


def status_at(port: int) -> int | None:
    """What nginx answers a request for which a token is needed, None while it does not."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", port, context=trusting, timeout=5)
    with closing(connection):
        try:
            connection.request("GET", "/hello/")
            return connection.getresponse().status
        except OSError:
            return None


@pytest.fixture(scope="module")
def composition(images: Containers, figure: Figure) -> Iterator[int]:
    """The whole of it; its TLS port."""
    containers = images
    port = free_port()
    words = {"NGINX_IMAGE": SERVERS, "REDIS_IMAGE": SERVERS, "TAG": "test", "PORT": str(port)}
    started = time.monotonic()
    containers.run(*_COMPOSE, "up", "--detach", "--no-build", **words)
    try:
        for name in GATEWAYS:
            containers.wait_until_healthy(name)
        # podman before 4.6 starts all at once, whatever waits for what.
        for app in APPS:
            containers.wait_until_logged(f"gateway-tested_{app}_1", "Listening at")
        nginx = "gateway-tested_nginx_1"
        containers.wait_until(lambda: status_at(port) == 401, of=nginx)
        figure(f"the composition up {time.monotonic() - started:.0f} s")
        yield port
    finally:
        containers.attempt(*_COMPOSE, "down", "--volumes", **words)


def test_the_demo_runs_through_read_only_gateways_without_capabilities(
    composition: int, containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in GATEWAYS:
        containers.assert_confined(name)
    # Its certificate is one that it signed itself.
    (tmp_path / ".curlrc").write_text("insecure\n")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    there = f"https://localhost:{composition}"
    unexpected = []
    with Processes() as processes:
        for lines in WALKTHROUGHS.values():
            words = [replace(ln, command=ln.command.replace(PUBLIC, there)) for ln in lines]
            answers = run(words, processes=processes, log=tmp_path / "lines.log")
            unexpected += [a.text for a in answers if not a.is_expected]
    assert not unexpected


def test_both_gateways_take_part_and_end_gracefully(
    composition: int, containers: Containers
) -> None:
    for name in GATEWAYS:
        assert '"status":200' in containers.logs(name)
        assert "reloaded" in containers.run("podman", "exec", name, "gateway", "reload")
        containers.run("podman", "stop", "--time", "35", name)
        assert containers.inspect(name, "{{.State.ExitCode}}") == "0"
