"""The admin API of a gateway that runs: alone and as two workers, before a real upstream."""

import json
import os
import signal
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from gateway.endpoints.admin.api import OPERATIONS
from gateway.endpoints.admin.openapi import document
from tests.integration.exchange import JSON, Answer, ask
from tests.integration.servers import RunningApp, RunningEcho, RunningGateway, start_gateway
from tests.redis_servers import RedisServer, redis_server

Run = Callable[[dict[str, Any]], RunningGateway]

TOKEN = "the-operators-own-token"
BEARER = ("Authorization", f"Bearer {TOKEN}")
LOGIN = b'{"username": "user1", "password": "#beta123"}'


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def config(
    students: RunningApp, store: str = "memory://", *, workers: int = 1, **more: Any
) -> dict[str, Any]:
    return {
        "server": {"workers": workers},
        "store": {"url": store},
        "logging": {"access_log": False},
        "admin": {"token": TOKEN},
        "issuers": {
            "students": {
                "signing_key": {"file": str(students.secret_file)},
                "upstream": "students",
            }
        },
        "upstreams": {"students": {"servers": [students.address], "circuit_breaker": {}}},
        "routes": [{"path": "/studentapi/", "issuers": ["students"], "upstream": "students"}],
        **more,
    }


@pytest.fixture(params=[1, 2], ids=["alone", "two workers"])
def gateway(
    request: pytest.FixtureRequest, students: RunningApp, run_gateway: Run, redis: RedisServer
) -> RunningGateway:
    redis.ask("FLUSHALL")
    return run_gateway(config(students, redis.url, workers=request.param))


def api(gateway: RunningGateway, method: str, path: str, /, **query: str) -> Answer:
    target = f"/api{path}" + (f"?{urlencode(query)}" if query else "")
    return ask(gateway.admin, method, target, headers=[BEARER])


def told(gateway: RunningGateway, method: str, path: str, /, **query: str) -> Any:
    answer = api(gateway, method, path, **query)
    assert answer.status == 200, answer.body
    return answer.json()


def problem(answer: Answer) -> tuple[int, str]:
    assert answer.header("content-type") == "application/problem+json"
    return answer.status, answer.json()["code"]


def log_in(gateway: RunningGateway) -> Any:
    answer = ask(gateway.address, "POST", "/gettoken/", headers=[JSON], body=LOGIN)
    assert answer.status == 200, answer.body
    return answer.json()


def refresh(gateway: RunningGateway, pair: Any) -> Answer:
    body = json.dumps({"refresh": pair["refresh"]}).encode()
    return ask(gateway.address, "POST", "/refreshtoken/", headers=[JSON], body=body)


def call(gateway: RunningGateway, pair: Any) -> int:
    bearer = ("Authorization", f"Bearer {pair['access']}")
    return ask(gateway.address, "GET", "/studentapi/", headers=[bearer]).status


def refused(gateway: RunningGateway, pair: Any) -> None:
    """Every worker learns of it within a moment; asked often enough, each has answered."""
    gateway.process.wait_for(
        lambda: all(call(gateway, pair) == 401 for _ in range(12)) or None, seconds=5
    )


# Who may


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param([], "token_missing", id="no token"),
        pytest.param([("Authorization", "Bearer wrong")], "token_invalid", id="another token"),
        pytest.param([("Authorization", f"Basic {TOKEN}")], "token_invalid", id="another scheme"),
        pytest.param([("Authorization", "Bearer")], "token_invalid", id="no text"),
        pytest.param([("Authorization", f"Bearer {TOKEN}x")], "token_invalid", id="longer"),
        pytest.param([("Authorization", f"Bearer {TOKEN[:-1]}")], "token_invalid", id="shorter"),
        pytest.param([("Authorization", "Bearer \xe9")], "token_invalid", id="not ASCII"),
        pytest.param([BEARER, BEARER], "token_invalid", id="twice"),
    ],
)
def test_who_has_no_token_learns_nothing(
    keyed: RunningGateway, headers: list[tuple[str, str]], code: str
) -> None:
    answer = ask(keyed.admin, "GET", "/api/config", headers=headers)
    assert problem(answer) == (401, code)
    assert answer.header("www-authenticate") == 'Bearer realm="gateway admin"'
    assert TOKEN not in answer.body.decode()


@pytest.fixture(scope="module")
def keyed(
    students: RunningApp, children: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    directory = tmp_path_factory.mktemp("keyed")
    gateway = start_gateway(config(students), directory=directory, children=children)
    yield gateway
    gateway.process.stop()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", [*sorted(document(OPERATIONS)["paths"]), "/api/openapi.json", "/api/nothing", "/api/"]
)
def test_no_path_of_the_api_is_open(keyed: RunningGateway, method: str, path: str) -> None:
    """What a page on the internet can send from an operator's browser has no token."""
    origin = ("Origin", "https://evil.example.org")
    answer = ask(keyed.admin, method, path, headers=[origin], body=b"")
    assert problem(answer) == (401, "token_missing")
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


def test_the_token_is_not_taken_from_the_query(keyed: RunningGateway) -> None:
    answer = ask(keyed.admin, "GET", f"/api/config?token={TOKEN}&access_token={TOKEN}")
    assert problem(answer) == (401, "token_missing")


def test_the_scheme_is_taken_in_any_case(keyed: RunningGateway) -> None:
    headers = [("Authorization", f"bearer {TOKEN}")]
    assert ask(keyed.admin, "GET", "/api/routes", headers=headers).status == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_health_and_metrics_need_none(keyed: RunningGateway, path: str) -> None:
    assert ask(keyed.admin, "GET", path).status == 200


@pytest.mark.parametrize("path", ["/api/config", "/api/", "/dashboard", "/dashboard/dashboard.js"])
def test_without_a_configured_token_there_is_no_api(
    students: RunningApp, run_gateway: Run, path: str
) -> None:
    open_to_nobody = run_gateway(config(students, admin={}))
    answer = ask(open_to_nobody.admin, "GET", path, headers=[BEARER])
    assert problem(answer) == (404, "admin_off")
    assert "admin.token is not set" in answer.json()["detail"]


def test_the_public_port_knows_no_admin_api(keyed: RunningGateway) -> None:
    for path in ("/api/config", "/dashboard", "/metrics"):
        assert ask(keyed.address, "GET", path, headers=[BEARER]).status == 404


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/nothing", {}, (404, "not_found")),
        ("GET", "/config/", {}, (404, "not_found")),
        ("POST", "/config", {}, (405, "method_refused")),
        ("GET", "/reload", {}, (405, "method_refused")),
        ("GET", "/sessions", {"issuer": "students"}, (400, "parameter_invalid")),
        ("GET", "/sessions", {"user": "1"}, (400, "parameter_invalid")),
        ("GET", "/sessions", {"user": "1", "issuer": "x"}, (404, "issuer_unknown")),
        ("DELETE", "/sessions", {"issuer": "students"}, (400, "parameter_invalid")),
        ("DELETE", "/sessions/students/a", {}, (400, "parameter_invalid")),
        ("DELETE", "/sessions/x/a", {"user": "1"}, (404, "issuer_unknown")),
        ("DELETE", "/sessions/students/a", {"user": "1"}, (404, "session_unknown")),
        ("POST", "/reload", {"dry_run": "maybe"}, (400, "parameter_invalid")),
    ],
)
def test_what_is_wrong_is_told_as_a_problem(
    keyed: RunningGateway,
    method: str,
    path: str,
    query: dict[str, str],
    expected: tuple[int, str],
) -> None:
    assert problem(api(keyed, method, path, **query)) == expected


def test_answers_are_not_kept_by_anybody(keyed: RunningGateway) -> None:
    answer = api(keyed, "GET", "/config")
    assert answer.header("cache-control") == "no-store"
    assert answer.header("x-content-type-options") == "nosniff"


# What is told


def test_the_state_of_the_whole(gateway: RunningGateway) -> None:
    log_in(gateway)
    status = told(gateway, "GET", "/status")
    workers = 1 if not gateway.workers() else 2
    assert (status["workers"], status["answering"]) == (workers, workers)
    assert (status["is_ready"], status["why"], status["store_is_up"]) == (True, None, True)
    routes = told(gateway, "GET", "/routes")
    assert [route["path"] for route in routes["routes"]] == ["/studentapi/"]
    assert {one["endpoint"]: one["path"] for one in routes["endpoints"]}["obtain"] == "/gettoken/"
    upstreams = told(gateway, "GET", "/upstreams")
    (upstream,) = upstreams["upstreams"]
    (server,) = upstream["servers"]
    assert upstreams["answering"] == workers
    assert (server["is_up"], server["up_for"], server["circuit"]) == (True, workers, "closed")
    assert told(gateway, "GET", "/revocations")["entries"] == 0


def test_a_server_that_dies_is_shown_so(
    own_echo: RunningEcho, students: RunningApp, run_gateway: Run
) -> None:
    base = config(students)
    base["upstreams"]["echo"] = {"servers": [own_echo.address]}
    base["routes"] = [{"path": "/", "auth": "none", "upstream": "echo"}]
    gateway = run_gateway(base)
    assert ask(gateway.address, "GET", "/").status == 200
    own_echo.die()

    def down() -> Any:
        """What is shown once a connection was refused; the first may meet a process that ends."""
        assert ask(gateway.address, "GET", "/").status in (502, 503)
        shown = {one["name"]: one for one in told(gateway, "GET", "/upstreams")["upstreams"]}
        (server,) = shown["echo"]["servers"]
        return None if server["is_up"] else (server["up_for"], shown["students"]["servers"][0])

    up_for, other = gateway.process.wait_for(down)
    assert up_for == 0
    assert other["is_up"]


def test_requests_denials_and_refreshes_are_told_of_all_workers(gateway: RunningGateway) -> None:
    pair = log_in(gateway)
    for _ in range(6):
        call(gateway, pair)
        call(gateway, {"access": "a.b.c"})
    assert refresh(gateway, pair).status == 200

    def counted() -> Any:
        requests = told(gateway, "GET", "/requests")
        route = next((r for r in requests["routes"] if r["route"] == "/studentapi/"), None)
        if route is None or route["total"] < 12 or not requests["refreshes"]:
            return None
        return route["per_second"] is not None and (requests, route)

    requests, route = gateway.process.wait_for(lambda: counted() or None)
    assert (route["total"], route["denied"]) == (12, 6)
    assert route["statuses"] == {"2xx": 6, "4xx": 6}
    assert [(one["reason"], one["total"]) for one in route["reasons"]] == [("token_invalid", 6)]
    assert route["per_second"] >= 0
    (rotated,) = requests["refreshes"]
    assert (rotated["issuer"], rotated["word"], rotated["total"]) == ("students", "rotated", 1)


def test_the_configuration_is_told_without_its_secrets(
    students: RunningApp, run_gateway: Run, redis: RedisServer
) -> None:
    secret = students.secret_file.read_text().strip()
    base = config(students, redis.url)
    base["upstreams"]["told"] = {
        "servers": ["http://127.0.0.1:1"],
        "identity": "headers",
        "identity_headers": {"X-Key": "only-two-know-this"},
    }
    text = api(run_gateway(base), "GET", "/config").body.decode()
    shown = json.loads(text)["config"]
    assert shown["issuers"]["students"]["signing_key"] == "***"
    assert shown["admin"]["token"] == "***"
    assert shown["store"]["url"] == "***"
    assert shown["upstreams"]["told"]["identity_headers"] == {"X-Key": "***"}
    assert shown["server"]["keep_alive"] == 75
    assert shown["upstreams"]["students"]["servers"][0]["url"] == students.address
    for hidden in (secret, TOKEN, redis.url, "only-two-know-this"):
        assert hidden not in text


# Sessions


def sessions(gateway: RunningGateway, user: str = "1") -> list[Any]:
    found = told(gateway, "GET", "/sessions", issuer="students", user=user)
    assert found["is_complete"]
    listed = found["sessions"]
    assert isinstance(listed, list)
    return listed


def user_of(gateway: RunningGateway, pair: Any) -> str:
    payload = pair["access"].split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["user_id"])


def test_a_session_is_listed_and_ended_while_the_other_lives(gateway: RunningGateway) -> None:
    first, second = log_in(gateway), log_in(gateway)
    user = user_of(gateway, first)
    second = refresh(gateway, second).json()
    listed = sessions(gateway, user)
    assert len(listed) == 2
    refreshed = [one for one in listed if one["refreshed"] is not None]
    assert len(refreshed) == 1
    (other,) = [one for one in listed if one["refreshed"] is None]
    assert set(other) == {"id", "began", "refreshed", "kept_until"}

    ended = told(gateway, "DELETE", f"/sessions/students/{other['id']}", user=user)
    assert ended == {"issuer": "students", "user": user, "session": other["id"]}
    refused(gateway, first)
    assert refresh(gateway, first).status == 401
    assert call(gateway, second) == 200
    assert [one["id"] for one in sessions(gateway, user)] == [refreshed[0]["id"]]
    again = api(gateway, "DELETE", f"/sessions/students/{other['id']}", user=user)
    assert problem(again) == (404, "session_unknown")
    gateway.process.wait_for(
        lambda: (
            any(
                (one["word"], one["total"]) == ("admin", 1)
                for one in told(gateway, "GET", "/requests")["revocations"]
            )
            or None
        )
    )


def test_all_sessions_of_a_user_are_ended(gateway: RunningGateway) -> None:
    pairs = [log_in(gateway) for _ in range(3)]
    user = user_of(gateway, pairs[0])
    assert told(gateway, "DELETE", "/sessions", issuer="students", user=user)["session"] is None
    for pair in pairs:
        refused(gateway, pair)
        assert refresh(gateway, pair).status == 401
    assert sessions(gateway, user) == []
    assert "an operator ended all sessions of user " in gateway.process.output()
    assert told(gateway, "GET", "/revocations")["entries"] >= 1
    assert call(gateway, log_in(gateway)) == 200


def test_the_answers_hold_no_token(gateway: RunningGateway) -> None:
    pair = log_in(gateway)
    user = user_of(gateway, pair)
    for path in ("/status", "/routes", "/upstreams", "/requests", "/revocations", "/config"):
        body = api(gateway, "GET", path).body.decode()
        assert not [token for token in pair.values() if token in body]
    body = api(gateway, "GET", "/sessions", issuer="students", user=user).body.decode()
    assert not [token for token in pair.values() if token.split(".")[2] in body]


def test_a_user_may_have_any_name(gateway: RunningGateway) -> None:
    odd = "a/b?c&d=é ☃\n"
    assert sessions(gateway, odd) == []
    target = f"/sessions/students/{quote('x:y z/../é', safe='')}"
    assert problem(api(gateway, "DELETE", target, user=odd)) == (404, "session_unknown")


def test_without_the_store_it_is_told_that_nothing_was_done(
    students: RunningApp, run_gateway: Run, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as store:
        gateway = run_gateway(config(students, store.url, workers=2))
        pair = log_in(gateway)
    user = user_of(gateway, pair)
    asked = {"issuer": "students", "user": user}
    for method in ("GET", "DELETE"):
        answer = api(gateway, method, "/sessions", **asked)
        assert problem(answer) == (503, "store_unavailable")
    gateway.process.wait_for(
        lambda: not told(gateway, "GET", "/status")["store_is_up"] or None, seconds=10
    )


def test_another_worker_answers_where_one_is_dead(
    students: RunningApp, run_gateway: Run, redis: RedisServer
) -> None:
    redis.ask("FLUSHALL")
    gateway = run_gateway(config(students, redis.url, workers=2))
    workers = gateway.workers()
    user = user_of(gateway, log_in(gateway))
    os.kill(workers[0], signal.SIGKILL)
    gateway.process.wait_for(lambda: workers[0] not in gateway.workers() or None)
    assert len(sessions(gateway, user)) == 1


# Reload


def test_a_reload_tells_what_it_would_change_and_then_changes_it(
    students: RunningApp, run_gateway: Run
) -> None:
    gateway = run_gateway(config(students))
    gateway.rewrite({**config(students), "server": {"keep_alive": "5s"}})
    line = "server.keep_alive: 75 -> 5"
    tried = told(gateway, "POST", "/reload", dry_run="true")
    assert tried == {"is_dry_run": True, "lines": ["would reload", line]}
    assert told(gateway, "GET", "/config")["config"]["server"]["keep_alive"] == 75
    done = told(gateway, "POST", "/reload")
    assert done == {"is_dry_run": False, "lines": ["reloaded", line]}
    assert told(gateway, "GET", "/config")["config"]["server"]["keep_alive"] == 5
    assert told(gateway, "POST", "/reload")["lines"] == ["reloaded", "nothing has changed"]


@pytest.mark.parametrize("query", [{}, {"dry_run": "true"}], ids=["in earnest", "tried"])
def test_a_bad_file_is_refused_with_its_faults(
    students: RunningApp, run_gateway: Run, query: dict[str, str]
) -> None:
    gateway = run_gateway(config(students, workers=1))
    gateway.rewrite({**config(students), "surprise": {}})
    answer = api(gateway, "POST", "/reload", **query)
    assert problem(answer) == (422, "config_refused")
    assert any("surprise: " in line for line in answer.json()["lines"])
    assert call(gateway, log_in(gateway)) == 200


def test_a_reload_gives_the_api_another_token(students: RunningApp, run_gateway: Run) -> None:
    gateway = run_gateway(config(students))
    gateway.rewrite(config(students, admin={"token": "another-token-of-the-operator"}))
    answer = told(gateway, "POST", "/reload")
    assert answer["lines"] == ["reloaded", "admin.token: changed"]
    assert problem(api(gateway, "GET", "/config")) == (401, "token_invalid")


def test_the_api_holds_no_request_up(gateway: RunningGateway) -> None:
    began = time.monotonic()
    for _ in range(20):
        told(gateway, "GET", "/upstreams")
        told(gateway, "GET", "/requests")
    assert time.monotonic() - began < 10
