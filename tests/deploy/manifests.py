"""The manifests of deploy/kubernetes as kustomize renders them, and how to find one of them."""

import subprocess
from collections.abc import Callable
from typing import Any

import yaml

from tests.deploy.containers import ROOT

PLACE = ROOT / "deploy" / "kubernetes"
FORMS = ("base", "sidecar")

Manifest = dict[str, Any]
Rendered = Callable[[str], list[Manifest]]


def render(form: str, *, kubectl: str) -> list[Manifest]:
    done = subprocess.run(
        [kubectl, "kustomize", PLACE / form], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(manifests: list[Manifest], kind: str, name: str = "gateway") -> Manifest:
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


def pod_of(manifests: list[Manifest]) -> Manifest:
    pod: Manifest = one(manifests, "Deployment")["spec"]["template"]["spec"]
    return pod


def containers_of(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {each["name"]: each for each in pod_of(manifests)["containers"]}
