"""What several workers tell is one answer."""

import pytest

from gateway.config import Config
from gateway.endpoints.admin import report
from gateway.endpoints.admin.fleet import ServerState, State, UpstreamState
from gateway.telemetry.rates import Count

CONFIG = Config.model_validate(
    {
        "upstreams": {"app": {"servers": ["http://a:1", "http://b:1"]}}
        | {"idle": {"servers": ["http://c:1"]}},
        "routes": [
            {"path": "/a", "auth": "none", "upstream": "app", "rate_limit": {"rate": "30/m"}},
            {"path": "/b", "auth": "none", "upstream": "app", "rate_limit": {"rate": "2.5/s"}},
            {"path": "/c", "auth": "none", "upstream": "app", "rate_limit": {"rate": "1/d"}},
            {"path": "/d", "auth": "none", "upstream": "idle"},
        ],
    }
)
WELL = ServerState("http://a:1", True, False, False, "closed", idle=2, busy=1, connecting=0)
SICK = WELL._replace(is_up=False, is_ejected=True, circuit="open", idle=0, busy=0, connecting=1)


def state(*servers: ServerState, limit: float | None = None, name: str = "app") -> State:
    upstream = UpstreamState(name, pending=3, concurrency_limit=limit, servers=servers)
    return State((upstream,), store_is_up=True, revocations=0, staleness=0.0)


def test_connections_add_up_and_a_server_is_up_where_it_is_for_all() -> None:
    found = report.upstreams(CONFIG, [state(WELL, limit=4.26), state(SICK, limit=5.0)])
    app, idle = found.upstreams
    (server,) = app.servers
    assert found.answering == 2
    assert (app.pending_requests, app.concurrency_limit) == (6, 9.3)
    assert (server.idle, server.busy, server.connecting) == (2, 1, 1)
    assert (server.is_up, server.up_for, server.is_ejected) == (False, 1, True)
    assert server.circuit == "open"
    assert idle.servers == []


@pytest.mark.parametrize(
    ("circuits", "shown"),
    [
        (("closed", "closed"), "closed"),
        (("closed", "half_open"), "half_open"),
        (("open", "half_open"), "open"),
        ((None, None), None),
    ],
)
def test_the_worst_circuit_is_shown(circuits: tuple[str | None, ...], shown: str | None) -> None:
    states = [state(WELL._replace(circuit=circuit)) for circuit in circuits]
    assert report.upstreams(CONFIG, states).upstreams[0].servers[0].circuit == shown


def test_an_upstream_of_a_configuration_before_is_left_out() -> None:
    found = report.upstreams(CONFIG, [state(WELL, name="gone")])
    assert [one.name for one in found.upstreams] == ["app", "idle"]


def test_a_rate_limit_is_told_as_the_file_has_it() -> None:
    told = [route.rate_limit for route in report.routes(CONFIG).routes]
    assert told == ["30/m per user", "2.5/s per user", "1/d per user", None]


def test_requests_are_gathered_by_route() -> None:
    found = report.requests(
        {
            ("gateway_requests_total", "/a", "GET", "200"): Count(5, 0.5),
            ("gateway_requests_total", "/a", "POST", "201"): Count(2, 0.25),
            ("gateway_requests_total", "/a", "GET", "503"): Count(1, 0.0),
            ("gateway_denied_total", "/a", "upstream_timeout"): Count(1, 0.0),
            ("gateway_denied_total", "", "request_invalid"): Count(4, None),
            ("gateway_refresh_total", "students", "rotated"): Count(3, 0.1),
            ("gateway_revocations_total", "students", "logout"): Count(2, 0.0),
        }
    )
    nowhere, a = found.routes
    assert (nowhere.route, nowhere.total, nowhere.denied) == ("", 0, 4)
    assert nowhere.denied_per_second is None
    assert (a.total, a.per_second, a.denied) == (8, 0.75, 1)
    assert a.statuses == {"2xx": 7, "5xx": 1}
    assert [(one.word, one.total) for one in (*found.refreshes, *found.revocations)] == [
        ("rotated", 3),
        ("logout", 2),
    ]
