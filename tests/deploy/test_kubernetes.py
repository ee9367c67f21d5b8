"""deploy/kubernetes: rendered by kustomize where kubectl is, right by the schemas of the API.

Without kubectl each file is judged by itself, the sidecar's patch excepted.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config import load
from tests.deploy.containers import ROOT

PLACE = ROOT / "deploy" / "kubernetes"
FORMS = ("base", "sidecar")
VERSION = "1.32"
_OWN = "monitoring.coreos.com/v1"  # the operator's, which the API's schemas don't have
_MADE_BY_KUSTOMIZE = {"kustomization.yaml", "config.yaml"}

Manifest = dict[str, Any]


def rendered(form: str) -> list[Manifest]:
    kubectl = shutil.which("kubectl")
    has_kustomize = kubectl and "kustomize" in _output(kubectl, "version", "--client").lower()
    if kubectl and has_kustomize:
        return list(yaml.safe_load_all(_output(kubectl, "kustomize", str(PLACE / form))))
    return [
        manifest
        for file in sorted((PLACE / "base").glob("*.yaml"))
        if file.name not in _MADE_BY_KUSTOMIZE
        for manifest in yaml.safe_load_all(file.read_text())
    ]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("form", FORMS)
def test_every_manifest_is_right_by_its_schema(form: str) -> None:
    kinds = set()
    for manifest in rendered(form):
        kinds.add(manifest["kind"])
        if manifest["apiVersion"] != _OWN:
            kubernetes_validate.validate(manifest, VERSION, strict=True)
    assert kinds >= {
        *("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"),
        *("NetworkPolicy", "ServiceMonitor", "Namespace"),
    }


def test_a_slip_is_found() -> None:
    deployment = of_kind("Deployment", "base")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagee"] = "a slip"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSION, strict=True)


def test_all_that_a_kustomization_names_is_there() -> None:
    for form in FORMS:
        told = yaml.safe_load((PLACE / form / "kustomization.yaml").read_text())
        names = [*told["resources"], *(each["path"] for each in told.get("patches", ()))]
        names += [name for each in told["configMapGenerator"] for name in each["files"]]
        assert [name for name in names if not (PLACE / form / name).exists()] == []


def test_every_container_is_confined() -> None:
    patch = yaml.safe_load((PLACE / "sidecar" / "app.yaml").read_text())
    pods = [of_kind("Deployment", form)["spec"]["template"]["spec"] for form in FORMS]
    for container in (each for pod in (*pods, patch["spec"]["template"]["spec"])
                      for each in pod["containers"]):  # fmt: skip
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"]
        assert confined["capabilities"] == {"drop": ["ALL"]}
    for pod in pods:
        assert pod["securityContext"]["runAsUser"] == 65532


def test_what_is_scraped_and_scaled_and_served_is_the_gateway() -> None:
    labels = of_kind("Deployment", "base")["spec"]["template"]["metadata"]["labels"]
    ports = {
        port["name"]
        for container in of_kind("Deployment", "base")["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports", ())
    }
    services = [m for m in rendered("base") if m["kind"] == "Service"]
    assert {s["metadata"]["name"] for s in services} == {"gateway", "gateway-admin"}
    for service in services:
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    monitor = of_kind("ServiceMonitor", "base")["spec"]
    admin = next(s for s in services if s["metadata"]["name"] == "gateway-admin")
    assert monitor["selector"]["matchLabels"] == admin["metadata"]["labels"]
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in admin["spec"]["ports"]}
    assert of_kind("HorizontalPodAutoscaler", "base")["spec"]["scaleTargetRef"]["name"] == "gateway"


@pytest.mark.parametrize("form", FORMS)
def test_the_model_configuration_is_right_but_for_its_secrets(form: str, tmp_path: Path) -> None:
    text = (PLACE / form / "config.yaml").read_text()
    (tmp_path / "redis-url").write_text("redis://:secret@redis.redis:6379/0")
    (tmp_path / "students-signing-key").write_text("k" * 64)
    (tmp_path / "config.yaml").write_text(text.replace("/etc/gateway/secrets/", f"{tmp_path}/"))
    config = load(tmp_path / "config.yaml", environ={}).config
    # What the probes and the grace of the manifests stand on.
    assert (config.admin.host, config.admin.port) == ("0.0.0.0", 9090)
    grace = of_kind("Deployment", "base")["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    assert config.server.graceful_shutdown + 5 < grace


def of_kind(kind: str, form: str) -> Manifest:
    found = next(manifest for manifest in rendered(form) if manifest["kind"] == kind)
    copy: Manifest = json.loads(json.dumps(found))
    return copy
