"""deploy/kubernetes: both forms as kustomize renders them, right by the schemas of the API."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from gateway.config import load
from gateway.telemetry.metrics import Metrics
from tests.deploy.manifests import (
    FORMS,
    PLACE,
    Manifest,
    Rendered,
    containers_of,
    one,
    pod_of,
)

VERSION = "1.32"
_OWN = "monitoring.coreos.com/v1"  # the operator's, which the API's schemas don't have


@pytest.mark.parametrize("form", FORMS)
def test_every_manifest_is_right_by_its_schema(form: str, rendered: Rendered) -> None:
    kinds = set()
    for manifest in rendered(form):
        kinds.add(manifest["kind"])
        if manifest["apiVersion"] != _OWN:
            kubernetes_validate.validate(manifest, VERSION, strict=True)
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "gateway"
    assert kinds == {
        *("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"),
        *("NetworkPolicy", "ServiceMonitor", "Namespace", "ConfigMap"),
    }


def test_a_slip_is_found(rendered: Rendered) -> None:
    deployment = one(rendered("base"), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagee"] = "a slip"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSION, strict=True)


@pytest.mark.parametrize("form", FORMS)
def test_every_container_is_confined(form: str, rendered: Rendered) -> None:
    pod = pod_of(rendered(form))
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"]
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("form", FORMS)
def test_the_pods_get_the_configuration_by_the_hash_of_it(form: str, rendered: Rendered) -> None:
    manifests = rendered(form)
    (made,) = (m for m in manifests if m["kind"] == "ConfigMap")
    assert re.fullmatch(r"gateway-config-[a-z0-9]{10}", made["metadata"]["name"])
    assert made["data"] == {"config.yaml": (PLACE / form / "config.yaml").read_text()}
    volumes = {volume["name"]: volume for volume in pod_of(manifests)["volumes"]}
    assert volumes["config"]["configMap"]["name"] == made["metadata"]["name"]
    assert volumes["secrets"]["secret"]["secretName"] == "gateway-secrets"
    mounted = {mount["name"] for mount in containers_of(manifests)["gateway"]["volumeMounts"]}
    assert mounted == {"config", "secrets", "run"}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_scraped_and_scaled_and_served_is_the_gateway(
    form: str, rendered: Rendered
) -> None:
    manifests = rendered(form)
    labels = one(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in containers_of(manifests)["gateway"]["ports"]}
    services = [m for m in manifests if m["kind"] == "Service"]
    assert {s["metadata"]["name"] for s in services} == {"gateway", "gateway-admin"}
    for service in services:
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    budget = one(manifests, "PodDisruptionBudget")["spec"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    monitor = one(manifests, "ServiceMonitor")["spec"]
    admin = one(manifests, "Service", "gateway-admin")
    assert monitor["selector"]["matchLabels"] == admin["metadata"]["labels"]
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in admin["spec"]["ports"]}
    scaler = one(manifests, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "gateway"
    by = {each["pods"]["metric"]["name"] for each in scaler["metrics"] if each["type"] == "Pods"}
    assert by == {"gateway_inflight_requests"}
    assert by <= {family.name for family in Metrics().snapshot()}


@pytest.mark.parametrize("form", FORMS)
def test_the_policy_lets_in_what_is_served_and_out_what_is_asked(
    form: str, rendered: Rendered
) -> None:
    manifests = rendered(form)
    policy = one(manifests, "NetworkPolicy")["spec"]
    labels = one(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    let_in = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert let_in == {port["name"] for port in containers_of(manifests)["gateway"]["ports"]}
    out = {(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]}
    own = {"base": ("TCP", 8000), "sidecar": ("TCP", 5432)}  # the apps; the app's database
    assert out == {("UDP", 53), ("TCP", 53), ("TCP", 6379), own[form]}


@pytest.mark.parametrize("form", FORMS)
def test_the_model_configuration_is_right_but_for_its_secrets(
    form: str, tmp_path: Path, rendered: Rendered
) -> None:
    manifests = rendered(form)
    text = (PLACE / form / "config.yaml").read_text()
    (tmp_path / "redis-url").write_text("redis://:secret@redis.redis:6379/0")
    (tmp_path / "students-signing-key").write_text("k" * 64)
    (tmp_path / "config.yaml").write_text(text.replace("/etc/gateway/secrets/", f"{tmp_path}/"))
    config = load(tmp_path / "config.yaml", environ={}).config
    # What the probes and the grace of the manifests stand on.
    gateway = containers_of(manifests)["gateway"]
    told = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    assert (config.server.host, config.server.port) == ("0.0.0.0", told["http"])
    assert (config.admin.host, config.admin.port) == ("0.0.0.0", told["admin"])
    probes = [gateway[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    assert [each["path"] for each in probes] == ["/readyz", "/readyz", "/livez"]
    assert {each["port"] for each in probes} == {"admin"}
    before_the_signal = waits(gateway)
    grace = pod_of(manifests)["terminationGracePeriodSeconds"]
    assert before_the_signal + config.server.graceful_shutdown + 2 < grace


def test_the_app_of_a_sidecar_is_reached_through_the_gateway_alone(rendered: Rendered) -> None:
    manifests = rendered("sidecar")
    containers = containers_of(manifests)
    assert set(containers) == {"app", "gateway"}
    app, gateway = containers["app"], containers["gateway"]
    assert app["command"][1:3] == ["--bind", "127.0.0.1:8000"]
    assert "ports" not in app
    config = yaml.safe_load((PLACE / "sidecar" / "config.yaml").read_text())
    assert config["upstreams"]["students"]["servers"] == ["http://127.0.0.1:8000"]
    # Nothing but a process inside can ask the loopback.
    assert set(app["readinessProbe"]) & {"exec", "httpGet", "tcpSocket"} == {"exec"}
    # It has the key that the gateway verifies with, and outlives what the gateway still serves.
    key = app["env"][0]["valueFrom"]["secretKeyRef"]
    assert config["issuers"]["students"]["signing_key"] == {
        "file": f"/etc/gateway/secrets/{key['key']}"
    }
    longest = waits(gateway) + int(config["server"]["graceful_shutdown"].removesuffix("s"))
    assert longest <= waits(app) < pod_of(manifests)["terminationGracePeriodSeconds"]


def waits(container: Manifest) -> int:
    """How long after the end was asked for its process is told."""
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    return int(seconds)
