"""What Grafana and Prometheus are given to watch: each query can be read, each name exists."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from gateway.telemetry.admin_metrics import AdminMetrics
from gateway.telemetry.metrics import Metrics
from tests.integration.test_exposition import CONTRACT

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
BOARD = json.loads((ROOT / "deploy" / "grafana" / "gateway.json").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
# What Grafana puts in place of its own words.
FILLED = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
OF_PROMETHEUS = {"job", "instance", "le"}
LABELS = {
    "gateway_requests": {"route", "method", "status"},
    "gateway_denied": {"route", "reason"},
    "gateway_admin_denied": {"reason"},
    "gateway_request_duration_seconds": {"route"},
    "gateway_refresh": {"issuer", "outcome"},
    "gateway_revocations": {"issuer", "why"},
    "gateway_token_cache": {"result"},
    "gateway_upstream_up": {"upstream", "server"},
    "gateway_upstream_connections": {"upstream", "server", "state"},
    "gateway_upstream_duration_seconds": {"upstream"},
    "gateway_upstream_pending_requests": {"upstream"},
    "gateway_upstream_retries": {"upstream"},
    "gateway_upstream_concurrency_limit": {"upstream"},
}


def exposed() -> dict[str, str]:
    """Every name in `/metrics`, and the family that it is of."""
    names = {}
    for family in (*Metrics().snapshot(), *AdminMetrics().snapshot()):
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for ending in endings.get(family.type, ("",)):
            names[family.name + ending] = family.name
    return names


EXPOSED = exposed()


def queries() -> Iterator[Any]:
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for word, value in FILLED.items():
                text = text.replace(word, value)
            yield pytest.param(text, id=f"{panel['title']} {target['refId']}")


@pytest.mark.parametrize("query", [*queries()])
def test_a_query_can_be_read_and_asks_for_what_there_is(query: str) -> None:
    promql_parser.parse(query)
    names = re.findall(r"gateway_\w+", query)
    assert names
    assert set(names) <= set(EXPOSED)
    known = OF_PROMETHEUS.union(*(LABELS.get(EXPOSED[name], set()) for name in names))
    grouped = {
        label.strip()
        for labels in re.findall(r"by \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    selected = set(re.findall(r"(\w+)=~?\"", query))
    assert grouped | selected <= known


def test_a_name_that_is_not_there_would_be_told() -> None:
    assert "gateway_requests_total" in EXPOSED
    assert "gateway_requests" not in EXPOSED
    assert "gateway_request_duration_seconds_bucket" in EXPOSED
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum(rate(gateway_requests_total[5m])")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_it_means(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = {
        label.strip()
        for labels in re.findall(r"by \(([^)]*)\)", rule["expr"])
        for label in labels.split(",")
    }
    family = EXPOSED[re.findall(r"gateway_\w+", rule["expr"])[0]]
    assert told <= (kept or LABELS.get(family, set()) | OF_PROMETHEUS)


def test_every_metric_is_on_the_board() -> None:
    shown = set(re.findall(r"gateway_\w+", json.dumps(BOARD)))
    missing = {
        family
        for family in EXPOSED.values()
        if not {n for n in EXPOSED if EXPOSED[n] == family} & shown
    }
    assert missing == set()


def test_the_labels_are_those_of_the_contract() -> None:
    for name, labels in CONTRACT.items():
        assert LABELS.get(EXPOSED[name], set()) == labels - {"le"}, name


def test_panels_stand_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        places = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not places & taken
        assert at["x"] + at["w"] <= 24
        taken |= places
