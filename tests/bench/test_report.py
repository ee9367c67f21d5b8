"""The report shows medians, spread and ratios, and hides no failure and no absence."""

import re

from bench.report import report
from bench.results import ratio
from bench.transfers import Transfer
from tests.bench.rounds import a_round, results


def test_a_ratio_is_the_median_of_those_within_the_rounds() -> None:
    # The machine was slow in the second round: the ratio of the medians would be 1.5.
    series = {"gateway": [30.0, 60.0, 31.0], "haproxy": [20.0, 40.0, 20.0]}
    assert ratio(series, "gateway", "haproxy") == 1.5
    assert ratio(series, "gateway", "nginx") is None


def test_a_value_stands_with_its_spread_and_its_ratios() -> None:
    rounds = {
        "nginx": [a_round(cpu=10), a_round(cpu=12), a_round(cpu=11)],
        "gateway": [a_round(cpu=20), a_round(cpu=36), a_round(cpu=22)],
    }
    text = report(results({"many-tokens": rounds}))
    assert "| gateway | 22 (20 – 36) | 60% | 2 × | – | – | – |" in text


def test_each_load_has_tables_of_its_own() -> None:
    one = {"gateway": [a_round()]}
    text = report(results({"one-token": one, "posts": one}))
    assert re.findall(r"^## .*(?:token|posted).*$", text, re.MULTILINE) == [
        "## One token, 64 connections",
        "## 4 KB posted, 64 connections, 1,000 tokens",
    ]


def test_an_absent_peer_is_named_with_its_reason() -> None:
    text = report(results({}, absent={"envoy": "envoy is not installed:\n  | no wheel"}))
    assert "- Absent: Envoy jwt_authn with its cache. envoy is not installed: no wheel" in text


def test_a_peer_that_was_spared_a_load_is_named_below_it() -> None:
    text = report(results({"1000-connections": {"gateway": [a_round()]}}))
    assert "Without Starlette + httpx + PyJWT: httpx's pool" in text


def test_a_failure_is_told_before_any_figure() -> None:
    text = report(results({"posts": {"caddy": [a_round(failures=3)]}}))
    assert text.index("**Failed:** caddy failed 3 requests of posts") < text.index("## Targets")


def test_instructions_are_shown_where_they_were_counted() -> None:
    counted = report(results({"posts": {"gateway": [a_round(instructions=123_456)]}}))
    assert "| 123,456 |" in counted
    assert "could not be counted" not in counted
    assert "could not be counted" in report(results({"posts": {"gateway": [a_round()]}}))


def test_the_ceiling_of_bodies_has_no_peer() -> None:
    transfers = {"nginx": [Transfer(1000, 800)], "direct": [Transfer(1500, 1200)]}
    text = report(results({}, transfers=transfers))
    assert "| no peer: the ceiling | 1,500 | 1.5 × |" in text
