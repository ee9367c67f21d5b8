"""The image, really built, and run as it is meant to: no root, no capability, nothing writable."""

import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from examples.apps import status_of
from tests.conftest import Figure
from tests.deploy.containers import BASE, IMAGE, ROOT, Containers
from tests.ports import free_port

DOCKERFILES = ("Dockerfile", "examples/Dockerfile")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_has_nothing_to_say(name: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / name], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned_by_its_digest() -> None:
    pinned = [line for line in _lines("Dockerfile") if line.startswith("ARG BASE=")]
    assert len(pinned) == 1
    assert len(pinned[0].partition("@sha256:")[2]) == 64


def test_the_image_says_what_it_is(containers: Containers) -> None:
    config = json.loads(containers.inspect(IMAGE, "{{json .Config}}"))
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["gateway"]
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items()}
    assert labels["title"] == "gateway"
    assert labels["version"] == version("gateway")
    assert labels["revision"] == containers.attempt("git", "rev-parse", "HEAD").stdout.strip()
    assert json.loads(containers.inspect(IMAGE, "{{json .HealthCheck}}"))["Test"] == [
        *("CMD", "gateway", "healthcheck")
    ]


def test_the_image_adds_little_to_its_base(containers: Containers, figure: Figure) -> None:
    whole, base = (int(containers.inspect(image, "{{.Size}}")) for image in (IMAGE, BASE))
    added = whole - base
    figure(f"image {whole / 1e6:.0f} MB, of which {added / 1e6:.0f} MB are added to the base")
    assert added < 80e6


def test_nothing_can_be_installed_into_it(containers: Containers) -> None:
    done = containers.attempt(
        *("podman", "run", "--rm", "--network", "none", "--entrypoint"),
        *("/opt/gateway/bin/python", IMAGE, "-m", "pip", "--version"),
    )
    assert done.returncode == 1
    assert "No module named pip" in done.stdout + done.stderr


@pytest.fixture
def config(tmp_path: Path) -> tuple[Path, int, int]:
    port, admin = free_port(), free_port()
    (tmp_path / "key").write_text(secrets.token_urlsafe(50))
    (tmp_path / "config.yaml").write_text(
        f"server: {{port: {port}}}\n"
        "issuers:\n"
        "  s: {profile: simplejwt, algorithm: HS256, signing_key: {file: /run/secrets/key}}\n"
        "upstreams: {u: {servers: ['http://app.internal:9']}}\n"
        "routes: [{path: /, auth: required, issuers: [s], upstream: u}]\n"
        f"admin: {{port: {admin}}}\n"
    )
    tmp_path.chmod(0o755)
    return tmp_path, port, admin


@pytest.fixture
def silent_name_server() -> Iterator[str]:
    """The address of one that takes questions and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.99", 53))
        yield "127.0.0.99"


@pytest.fixture
def running(
    containers: Containers, config: tuple[Path, int, int], silent_name_server: str, figure: Figure
) -> Iterator[str]:
    directory, _, admin = config
    name = "confined"
    started = time.monotonic()
    containers.run(
        *("podman", "run", "--detach", "--name", name, "--network", "host", "--read-only"),
        *("--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
        *("--dns", silent_name_server),
        *("--volume", f"{directory}/config.yaml:/etc/gateway/config.yaml:ro"),
        *("--volume", f"{directory}/key:/run/secrets/key:ro", IMAGE),
    )
    try:
        private = f"http://127.0.0.1:{admin}"
        containers.wait_until(lambda: status_of(private, "/readyz") == 200, of=name)
        figure(f"podman run to the first 200 of /readyz: {time.monotonic() - started:.2f} s")
        yield name
    finally:
        containers.attempt("podman", "rm", "--force", "--time", "5", name)


def test_it_serves_without_rights_and_ends_when_told_though_no_name_server_answers(
    containers: Containers, config: tuple[Path, int, int], running: str, figure: Figure
) -> None:
    containers.wait_until_healthy(running)
    containers.assert_confined(running)
    # At rest, of what one pod asks for in deploy/kubernetes.
    memory = containers.memory(running)
    rss, pss = memory["Rss"], memory["Pss"]
    figure(f"one worker at rest in its container: RSS {rss:.0f} MB, PSS {pss:.0f} MB")
    assert rss < 128
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{config[1]}/")
    refused.value.close()
    assert refused.value.code == 401
    # Before the name of its upstream is found, or given up.
    containers.run("podman", "stop", "--time", "5", running)
    assert containers.inspect(running, "{{.State.ExitCode}}") == "0"


def test_a_container_without_a_configuration_says_so(containers: Containers) -> None:
    done = containers.attempt("podman", "run", "--rm", "--network", "none", IMAGE)
    assert done.returncode == 2
    assert "/etc/gateway/config.yaml" in done.stdout + done.stderr


def _lines(name: str) -> list[str]:
    return (ROOT / name).read_text().splitlines()
