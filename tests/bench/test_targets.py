"""The table of targets tells what was reached, missed and not measured."""

import pytest

from bench import targets
from bench.load import Round
from bench.results import Results
from bench.transfers import Transfer
from tests.bench.rounds import a_round, results


def row(found: Results, text: str) -> list[str]:
    """The cells of the one row that has this text."""
    rows = [line for line in targets.table(found) if text in line]
    assert len(rows) == 1, rows
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


def many(**peers: Round) -> Results:
    return results({"many-tokens": {name: [one] for name, one in peers.items()}})


@pytest.mark.parametrize(
    ("cpu", "verdict"),
    [(20.0, "yes"), (20.2, "**no**"), (17.0, "yes")],
    ids=["as much", "more", "less"],
)
def test_cpu_may_be_as_much_as_haproxys(cpu: float, verdict: str) -> None:
    found = many(gateway=a_round(cpu=cpu), haproxy=a_round(cpu=20.0))
    assert row(found, "1 × HAProxy jwt_verify")[2] == verdict


@pytest.mark.parametrize(
    ("text", "peer", "cpu", "verdict"),
    [
        ("0.85 ×", "haproxy", 24.0, "yes"),
        ("0.85 ×", "haproxy", 23.0, "**no**"),
        ("Envoy", "envoy", 34.0, "yes"),
        ("Envoy", "envoy", 33.0, "**no**"),
        ("nginx proxy_pass", "nginx", 14.0, "yes"),
        ("nginx proxy_pass", "nginx", 13.0, "**no**"),
    ],
)
def test_each_peer_has_its_limit(text: str, peer: str, cpu: float, verdict: str) -> None:
    found = many(**{"gateway": a_round(cpu=20.0), peer: a_round(cpu=cpu)})
    assert row(found, text)[2] == verdict


@pytest.mark.parametrize(
    ("per_second", "verdict"), [(40_000, "yes"), (39_000, "**no**")], ids=["forty times", "less"]
)
def test_throughput_must_be_forty_times_the_usual_proxys(per_second: int, verdict: str) -> None:
    found = many(gateway=a_round(per_second=per_second), usual=a_round(per_second=1000))
    assert row(found, "40 ×")[2] == verdict


def test_the_asgi_lane_is_judged_by_its_own_cost() -> None:
    found = many(gateway=a_round(cpu=10), asgi=a_round(cpu=50), haproxy=a_round(cpu=20))
    assert row(found, "ASGI lane")[1:] == ["2.5 ×", "**no**", "–"]


def test_latency_alone_is_that_of_the_load_with_one_connection() -> None:
    found = results(
        {
            "many-tokens": {"gateway": [a_round(p50=9)], "haproxy": [a_round(p50=1)]},
            "one-connection": {"gateway": [a_round(p50=0.12)], "haproxy": [a_round(p50=0.15)]},
        }
    )
    assert row(found, "1 connection")[1:3] == ["0.8 ×", "yes"]


def test_a_target_without_its_peer_is_not_measured() -> None:
    assert row(many(gateway=a_round()), "Envoy")[1:3] == ["–", "not measured"]


def test_a_gateway_that_failed_a_request_meets_nothing() -> None:
    found = results(
        {
            "many-tokens": {"gateway": [a_round(cpu=1)], "haproxy": [a_round(cpu=20)]},
            "posts": {"gateway": [a_round(failures=1)]},
        }
    )
    assert not any("| yes |" in line for line in targets.table(found))
    assert found.failed == ["gateway failed 1 requests of posts"]


def test_bodies_are_judged_each_way() -> None:
    found = results(
        {},
        transfers={"gateway": [Transfer(down=1100, up=900)], "nginx": [Transfer(1000, 1000)]},
    )
    assert row(found, "100 MB down")[1:3] == ["1.1 ×", "yes"]
    assert row(found, "100 MB up")[1:3] == ["0.9 ×", "**no**"]


def test_memory_is_the_highest_peak_of_all_rounds() -> None:
    peaks = [a_round(peak_memory=95_000_000), a_round(peak_memory=105_000_000)]
    cells = row(results({"1000-connections": {"gateway": peaks}}), "peak memory")
    assert cells[1] == "105.0 MB"
    assert cells[2].startswith("**no**: 95.0 MB in the first round")


def test_two_workers_that_share_a_core_with_the_load_tell_what_a_request_costs_them() -> None:
    rounds = {
        "many-tokens": {
            "gateway": [a_round(per_second=20_000, cpu=50)],
            "gateway-2w": [a_round(per_second=24_000, cpu=55)],
        }
    }
    shared = row(results(rounds), "two workers")
    assert shared[1] == "1.2 ×"
    assert shared[2].startswith("**no**: the second worker shares its core with wrk")
    assert "a request costs 1.1 × one worker's CPU" in shared[2]
    alone = row(results(rounds, is_second_core_shared=False), "two workers")
    assert alone[2] == "**no**"


def test_the_compiled_gateway_stands_beside_the_pure_one() -> None:
    found = many(gateway=a_round(cpu=30), compiled=a_round(cpu=22), haproxy=a_round(cpu=20))
    assert row(found, "1 × HAProxy jwt_verify")[1:] == ["1.5 ×", "**no**", "1.1 ×"]
