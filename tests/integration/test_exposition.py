"""`/metrics` is what promtool would pass: it parses, names follow the rules, labels stay few."""

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from examples.apps import connect
from tests.factories import sign, simplejwt_claims
from tests.integration.exchange import ask, head, receive
from tests.integration.servers import RunningEcho, RunningGateway

SECRET = "an-edge-gateway-secret-0123456789abcdefghijklmnop"
CONTRACT = {
    "gateway_requests_total": {"route", "method", "status"},
    "gateway_request_duration_seconds_bucket": {"route", "le"},
    "gateway_upstream_duration_seconds_bucket": {"upstream", "le"},
    "gateway_denied_total": {"route", "reason"},
    "gateway_refresh_total": {"issuer", "outcome"},
    "gateway_revocations_total": {"issuer", "why"},
    "gateway_revocation_lag_seconds_bucket": {"le"},
    "gateway_store_up": set(),
    "gateway_upstream_up": {"upstream", "server"},
    "gateway_upstream_connections": {"upstream", "server", "state"},
    "gateway_inflight_requests": set(),
    "gateway_token_cache_total": {"result"},
}
# promtool's linter: units are base units, and stand in the name whole.
BAD_UNITS = re.compile(r"_(milli|micro|nano)?(ms|us|millis|minutes|hours|kb|mb|kilobytes)(_|$)")


def config(address: str, **server: Any) -> dict[str, Any]:
    issuer = {"signing_key": SECRET, "upstream": "echo", "endpoints": {"refresh": "/refresh/"}}
    return {
        "server": server,
        "logging": {"access_log": False},
        "issuers": {"students": issuer},
        "upstreams": {"echo": {"servers": [address]}},
        "routes": [
            {"path": "/api/", "issuers": ["students"], "upstream": "echo"},
            {"path": "/", "auth": "none", "upstream": "echo"},
        ],
    }


def families(gateway: RunningGateway) -> list[Metric]:
    text = ask(gateway.admin, "GET", "/metrics").body.decode()
    return list(text_string_to_metric_families(text))


def value(gateway: RunningGateway, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in families(gateway)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def lint(found: list[Metric]) -> list[str]:
    """What promtool's linter would say."""
    said = []
    names = Counter(family.name for family in found)
    for family in found:
        exposed = f"{family.name}_total" if family.type == "counter" else family.name
        samples = [(one.name, tuple(sorted(one.labels.items()))) for one in family.samples]
        rules = {
            "appears twice": names[family.name] > 1,
            "has no help": not family.documentation,
            "has no type": family.type in ("unknown", "untyped"),
            "is no counter, and ends with _total": family.type != "counter"
            and family.name.endswith("_total"),
            "is not in snake case": re.fullmatch(r"[a-z][a-z0-9_]*", family.name) is None,
            "names its type": re.search(r"_(gauge|counter|histogram)(_|$)", family.name),
            "has a unit that is no base unit": BAD_UNITS.search(family.name),
            "is not this product's": not family.name.startswith("gateway_"),
            "has a sample twice": len(samples) != len(set(samples)),
        }
        said += [f"{exposed} {rule}" for rule, is_broken in rules.items() if is_broken]
    return said


def exercised(gateway: RunningGateway) -> None:
    """Something of all that is counted."""
    now = time.time()
    claims = simplejwt_claims(iat=int(now) - 1, exp=int(now) + 300)
    good = ("Authorization", f"Bearer {sign(claims, SECRET)}")
    for _ in range(3):
        assert ask(gateway.address, "GET", "/api/x", headers=[good]).status == 200
    assert ask(gateway.address, "GET", "/api/x").status == 401
    refresh = b'{"refresh": "a.b.c"}'
    kind = ("Content-Type", "application/json")
    assert ask(gateway.address, "POST", "/refresh/", headers=[kind], body=refresh).status == 401


def test_all_metrics_are_there_and_pass_the_linter(
    echo: str, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    gateway = run_gateway(config(echo))
    exercised(gateway)

    found = families(gateway)
    assert lint(found) == []
    labels: dict[str, set[str]] = {}
    for sample in (sample for family in found for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
    quiet = {"gateway_revocations_total"}  # nothing was revoked
    assert {name: labels.get(name) for name in CONTRACT if name not in quiet} == {
        name: given for name, given in CONTRACT.items() if name not in quiet
    }


def test_a_name_that_breaks_the_rules_is_told() -> None:
    text = (
        "# HELP gateway_wait_ms How long.\n# TYPE gateway_wait_ms gauge\ngateway_wait_ms 1\n"
        "# HELP gateway_x_total X.\n# TYPE gateway_x_total gauge\ngateway_x_total 1\n"
    )
    assert lint(list(text_string_to_metric_families(text))) == [
        "gateway_wait_ms has a unit that is no base unit",
        "gateway_x_total is no counter, and ends with _total",
    ]


def test_tokens_are_counted_as_seen_before_or_not_also_over_a_reload(
    echo: str, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    gateway = run_gateway(config(echo))
    exercised(gateway)
    before = {
        result: value(gateway, "gateway_token_cache_total", result=result)
        for result in ("hit", "miss")
    }
    assert before == {"hit": 2, "miss": 1}
    gateway.rewrite(config(echo, keep_alive="5s"))
    assert gateway.reload()[0] == 0
    exercised(gateway)
    assert value(gateway, "gateway_token_cache_total", result="hit") == 4
    assert value(gateway, "gateway_token_cache_total", result="miss") == 2


def test_what_clients_make_up_makes_no_label(
    echo: str, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    gateway = run_gateway(config(echo))
    exercised(gateway)

    def make_up(numbers: range) -> list[Metric]:
        for number in numbers:
            host = ("Host", f"h{number}.x")
            ask(gateway.address, "GET", f"/api/{number}?{number}", headers=[host])
            ask(gateway.address, f"GET{number}", "/api/x")
        return families(gateway)

    few, many = make_up(range(1)), make_up(range(1, 41))
    named = {label for one in many for sample in one.samples for label in sample.labels.values()}
    assert not [label for label in named if re.search(r"h\d|GET\d|\?|/api/\d", label)]
    assert sum(len(one.samples) for one in many) == sum(len(one.samples) for one in few)


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_under_way_are_counted_in_both_lanes(
    own_echo: RunningEcho,
    run_gateway: Callable[[dict[str, Any]], RunningGateway],
    workers: int,
) -> None:
    plain = {
        "server": {"workers": workers},
        "logging": {"access_log": False},
        "upstreams": {"echo": {"servers": [own_echo.address]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }
    gateway = run_gateway(plain)
    assert value(gateway, "gateway_inflight_requests") == 0
    with ExitStack() as stack:
        held = [stack.enter_context(connect(gateway.address)) for _ in range(4)]
        for connection in held[:2]:
            connection.settimeout(30)
            connection.sendall(head("GET", "/hold/"))
        for connection in held[2:]:  # a body that is not whole yet is the ASGI lane's
            connection.settimeout(30)
            connection.sendall(head("GET", "/hold/", headers=[("Content-Length", "2")]) + b"a")
        own_echo.wait_until_held(2)
        gateway.process.wait_for(lambda: value(gateway, "gateway_inflight_requests") == 4 or None)
        for connection in held[2:]:
            connection.sendall(b"b")
        own_echo.wait_until_held(2)
        own_echo.release()
        assert [receive(connection).status for connection in held] == [200] * 4
    assert value(gateway, "gateway_inflight_requests") == 0
