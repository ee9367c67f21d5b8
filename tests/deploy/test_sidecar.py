"""The pod of deploy/kubernetes/sidecar as it is rendered, run by podman: no cluster is needed.

Its containers get what Kubernetes would give them: the pod's user, its volumes, one network.
"""

import http.client
import json
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.apps import status_of
from tests.deploy.containers import IMAGE, Containers
from tests.deploy.manifests import Manifest, Rendered, containers_of, pod_of

HELD = {"redis-url": "memory://", "students-signing-key": secrets.token_urlsafe(50)}
IMAGES = {"gateway": IMAGE, "app": "localhost/gateway-students:test"}


def options_of(container: Manifest, pod: Manifest, directory: Path) -> Iterator[str]:
    """Of `podman run`, for what a container of the pod is said to have."""
    own, shared = container["securityContext"], pod["securityContext"]
    yield f"--user={shared['runAsUser']}:{shared['runAsGroup']}"
    yield f"--read-only={json.dumps(own['readOnlyRootFilesystem'])}"
    yield "--read-only-tmpfs=false"
    yield from (f"--cap-drop={each}" for each in own["capabilities"]["drop"])
    yield from () if own["allowPrivilegeEscalation"] else ("--security-opt=no-new-privileges",)
    for variable in container.get("env", ()):
        yield f"--env={variable['name']}={HELD[variable['valueFrom']['secretKeyRef']['key']]}"
    kinds = {volume["name"]: set(volume) & {"configMap", "secret"} for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        name, place = mount["name"], mount["mountPath"]
        if kinds[name]:
            yield f"--volume={directory / name / mount.get('subPath', '')}:{place}:ro"
        else:
            yield f"--tmpfs={place}:mode=1777"
    if "command" in container:
        yield f"--entrypoint={json.dumps(container['command'])}"


@pytest.fixture
def pod(images: Containers, rendered: Rendered, tmp_path: Path) -> Iterator[str]:
    """The address of the pod, once its gateway is ready."""
    manifests = rendered("sidecar")
    (config,) = (m["data"] for m in manifests if m["kind"] == "ConfigMap")
    for volume, files in (("config", config), ("secrets", HELD)):
        (tmp_path / volume).mkdir()
        for name, text in files.items():
            (tmp_path / volume / name).write_text(text)
            os.chown(tmp_path / volume / name, 0, pod_of(manifests)["securityContext"]["fsGroup"])
            (tmp_path / volume / name).chmod(0o440)
    network = "bridge"
    try:
        for name in ("gateway", "app"):
            options = options_of(containers_of(manifests)[name], pod_of(manifests), tmp_path)
            images.run(
                *("podman", "run", "--detach", "--name", f"sidecar-{name}"),
                *(f"--network={network}", *options, IMAGES[name]),
            )
            network = "container:sidecar-gateway"
        address = images.inspect("sidecar-gateway", "{{.NetworkSettings.IPAddress}}")
        private = f"http://{address}:9090"
        images.wait_until(lambda: status_of(private, "/readyz") == 200, of="sidecar-gateway")
        images.wait_until_logged("sidecar-app", "Listening at")
        yield address
    finally:
        images.attempt("podman", "rm", "--force", "--time", "5", "sidecar-app", "sidecar-gateway")


def test_the_app_answers_through_its_gateway_and_nobody_else(
    images: Containers, pod: str, rendered: Rendered
) -> None:
    for name in IMAGES:
        images.assert_confined(f"sidecar-{name}")
    assert [asked(pod, path) for path in ("/admin/login/", "/api/", "/else/")] == [200, 401, 404]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((pod, 8000), timeout=10)
    probe = containers_of(rendered("sidecar"))["app"]["readinessProbe"]["exec"]["command"]
    images.run("podman", "exec", "sidecar-app", *probe)
    for name in IMAGES:
        images.run("podman", "exec", f"sidecar-{name}", "sleep", "0")  # for preStop


def asked(address: str, path: str) -> int:
    connection = http.client.HTTPConnection(address, 8080, timeout=10)
    connection.request("GET", path, headers={"Host": "localhost"})
    status = connection.getresponse().status
    connection.close()
    return status
