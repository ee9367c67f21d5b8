"""Gunicorn closes idle connections after 2 s, and a sync worker each one: nobody may notice.

The pauses here are the point: they let kept connections grow as old as Gunicorn lets them be.
"""

import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from examples.apps import connect
from tests.integration.exchange import JSON, ask, authorization, burst, head, receive
from tests.integration.servers import RunningApp, RunningEcho, RunningGateway

Run = Callable[..., RunningGateway]
# Around the moment of the closing, which Gunicorn's loop delays by up to a second.
PAUSES = [0.95, 1.0, 1.05, 1.1, 1.3, 1.5, 1.8, 1.95, 2.05, 0.0]


@pytest.fixture
def keeper(
    run_echo: Callable[..., RunningEcho], run_gateway: Run
) -> Iterator[tuple[RunningEcho, RunningGateway]]:
    """Gunicorn closes after one second, and the gateway would keep connections far longer."""
    echo = run_echo(keep_alive=1)
    upstream = {"servers": [echo.address], "timeouts": {"idle": "60s"}}
    route = {"path": "/", "auth": "none", "upstream": "echo"}
    yield echo, run_gateway({"upstreams": {"echo": upstream}, "routes": [route]})
    echo.die()


def test_no_get_fails_while_kept_connections_die(
    keeper: tuple[RunningEcho, RunningGateway],
) -> None:
    """1,000 GETs in ten bursts; the gateway would keep connections longer than Gunicorn does."""
    _, gateway = keeper
    statuses: Counter[int] = Counter()
    for pause in PAUSES:
        statuses.update(a.status for a in burst(gateway.address, [head("GET", "/")] * 100))
        time.sleep(pause)
    assert statuses == {200: 1000}


def test_no_get_fails_on_a_worker_that_closes_each_connection(
    accounts: RunningApp, gateway: RunningGateway
) -> None:
    login = b'{"username": "shoumitro", "password": "Ab12345678"}'
    pair = ask(accounts.address, "POST", "/api/token/", headers=[JSON], body=login).json()
    request = head("GET", "/hello/", headers=[authorization(f"Bearer {pair['access']}")])
    statuses: Counter[int] = Counter()
    for _ in range(25):
        statuses.update(answer.status for answer in burst(gateway.address, [request] * 40))
        time.sleep(0.02)
    assert statuses == {200: 1000}


def test_a_get_on_a_connection_that_dies_unanswered_is_tried_again(
    keeper: tuple[RunningEcho, RunningGateway],
) -> None:
    """Gunicorn's worker stands still while the request comes, then dies without a word."""
    echo, gateway = keeper
    with connect(gateway.address) as client:
        client.settimeout(30)
        client.sendall(head("GET", "/"))
        assert receive(client).status == 200
        worker = echo.worker()
        os.kill(worker, signal.SIGSTOP)
        client.sendall(head("GET", "/"))
        for _ in range(3):  # once these are answered, the request has gone upstream
            assert gateway.readiness().status == 200
        os.kill(worker, signal.SIGKILL)
        assert receive(client).status == 200


@pytest.mark.parametrize("is_reused", [False, True], ids=["fresh", "reused"])
def test_a_post_that_kills_its_worker_is_not_tried_again(
    keeper: tuple[RunningEcho, RunningGateway], is_reused: bool
) -> None:
    echo, gateway = keeper
    if is_reused:
        assert ask(gateway.address, "GET", "/").status == 200
    answer = ask(gateway.address, "POST", "/die/", body=b"x")
    assert (answer.status, answer.json()["code"]) == (502, "upstream_broken")
    assert ask(gateway.address, "GET", "/").status == 200  # by the worker's successor
    assert echo.deaths.read_text().split() == ["POST"]


def _times_in_database(app: RunningApp, city: str) -> Counter[str]:
    with closing(sqlite3.connect(app.database)) as database:
        rows = database.execute("SELECT name FROM students_student WHERE city = ?", [city])
        return Counter(name for (name,) in rows)


def _post(bearer: tuple[str, str], name: str, city: str) -> bytes:
    body = f'{{"name": "{name}", "roll": 1, "city": "{city}"}}'.encode()
    return (
        head("POST", "/studentapi/", headers=[bearer, JSON, ("Content-Length", str(len(body)))])
        + body
    )


@pytest.mark.parametrize(
    ("idle", "allowed"),
    [("1s", {201}), ("30s", {201, 502})],
    ids=["as-by-default", "kept-longer-than-gunicorn-does"],
)
def test_a_post_runs_at_most_once(
    students: RunningApp,
    run_gateway: Run,
    student_token: str,
    idle: str,
    allowed: Sequence[int],
) -> None:
    """A POST on a connection that died may fail, where one was kept too long; it never repeats."""
    bearer = authorization(f"Bearer {student_token}")
    issuer = {"signing_key": {"file": str(students.secret_file)}}
    upstream = {"servers": [students.address], "timeouts": {"idle": idle}}
    gateway = run_gateway(
        {
            "issuers": {"students": issuer},
            "upstreams": {"students": upstream},
            "routes": [{"path": "/", "issuers": ["students"], "upstream": "students"}],
        }
    )
    city = f"once-{idle}"
    answered: dict[str, int] = {}
    for number, pause in enumerate([0.9, 1.0, 1.1, 1.9, 2.0, 2.1, 0.0]):
        names = [f"post-{number}-{i}" for i in range(20)]
        answers = burst(gateway.address, [_post(bearer, name, city) for name in names])
        answered |= zip(names, (answer.status for answer in answers), strict=True)
        time.sleep(pause)
    assert set(answered.values()) <= set(allowed)
    times = _times_in_database(students, city)
    assert set(times.values()) == {1}
    assert {name for name, status in answered.items() if status == 201} <= times.keys()
