"""The accounts app (simplejwt, RS256, unix socket, a sync worker that closes each connection)."""

import json
import time

import jwt
import pytest

from tests.integration.exchange import JSON, Answer, Door, ask, authorization
from tests.integration.servers import KeptConnection, RunningApp, RunningGateway

LOGIN = b'{"username": "shoumitro", "password": "Ab12345678"}'


@pytest.fixture
def door(accounts: RunningApp, gateway: RunningGateway) -> Door:
    return Door(accounts.address, gateway.address)


@pytest.fixture(scope="module")
def bearer(accounts: RunningApp) -> tuple[str, str]:
    pair = ask(accounts.address, "POST", "/api/token/", headers=[JSON], body=LOGIN).json()
    return authorization(f"Bearer {pair['access']}")


def test_the_life_of_a_token_that_the_app_alone_can_sign(door: Door) -> None:
    def post(target: str, **fields: str) -> Answer:
        body = json.dumps(fields).encode()
        return ask(door.gateway, "POST", target, headers=[JSON], body=body)

    pair = post("/api/token/", username="shoumitro", password="Ab12345678").json()
    assert jwt.get_unverified_header(pair["access"])["alg"] == "RS256"
    assert "sid" not in jwt.decode(pair["access"], options={"verify_signature": False})
    refreshed = [post("/api/token/refresh/", refresh=pair["refresh"]) for _ in range(2)]
    assert refreshed[0].body == refreshed[1].body  # the app was asked once
    fresh = refreshed[0].json()["access"]
    assert post("/api/token/verify/", token=fresh).json() == {}
    bearers = [authorization(f"Bearer {token}") for token in (pair["access"], fresh)]
    for bearer in bearers:
        user = door.same("GET", "/api/user/", headers=[bearer])
        assert user.body == b'{"id":1,"username":"shoumitro"}'
    assert post("/api/token/blacklist/", refresh=pair["refresh"]).json() == {}
    for bearer in bearers:
        assert ask(door.gateway, "GET", "/api/user/", headers=[bearer]).status == 401
    assert post("/api/token/refresh/", refresh=pair["refresh"]).status == 401


def test_a_refresh_that_the_app_refuses_comes_back_as_it_said_it(door: Door) -> None:
    body = b'{"refresh": "x"}'
    direct, through = door.both("POST", "/api/token/refresh/", headers=[JSON], body=body)
    assert through.refusal == direct.refusal


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/api/user/", 200),
        ("HEAD", "/api/user/", 200),
        ("GET", "/hello/", 200),
        ("OPTIONS", "/hello/", 200),
        ("GET", "/hello", 301),
        ("POST", "/api/user/", 405),
        ("GET", "/hello/nobody/", 404),
    ],
)
def test_a_verified_call_is_answered_as_directly(
    door: Door, bearer: tuple[str, str], method: str, target: str, status: int
) -> None:
    assert door.same(method, target, headers=[bearer]).status == status


def test_the_client_keeps_its_connection_though_the_app_closes_its_own(
    gateway: RunningGateway, bearer: tuple[str, str]
) -> None:
    client = KeptConnection(gateway.address)
    try:
        answers = [client.ask("GET", "/api/user/", headers=[bearer]) for _ in range(20)]
    finally:
        client.close()
    assert {answer.status for answer in answers} == {200}
    assert not any(answer.header("Connection") for answer in answers)


def test_a_key_of_the_other_family_is_refused(door: Door, accounts: RunningApp) -> None:
    """The public key as an HMAC secret: RS256 to HS256 confusion."""
    public = (accounts.example.state / "public.pem").read_bytes()
    claims = {"token_type": "access", "exp": int(time.time()) + 60, "jti": "0", "user_id": "1"}
    signing_input = jwt.encode(claims, "0" * 32, "HS256").rpartition(".")[0]
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = jwt.utils.base64url_encode(algorithm.sign(signing_input.encode(), public)).decode()
    headers = [authorization(f"Bearer {signing_input}.{signature}")]
    direct, through = door.both("GET", "/api/user/", headers=headers)
    assert direct.status == 401
    assert through.refusal == direct.refusal


def test_a_token_of_another_app_is_refused(door: Door, student_token: str) -> None:
    headers = [authorization(f"Bearer {student_token}")]
    direct, through = door.both("GET", "/api/user/", headers=headers)
    assert direct.status == 401
    assert through.refusal == direct.refusal


# Under a host name of its own the whole app is reachable; `optional` leaves anonymous to it


@pytest.mark.parametrize("host", ["accounts.localhost", "ACCOUNTS.localhost:8080"])
def test_the_whole_app_answers_under_its_own_host_name(
    door: Door, bearer: tuple[str, str], host: str
) -> None:
    for target in ("/hello/", "/api/user/", "/admin/login/", "/static/admin/css/base.css"):
        assert door.same("GET", target, headers=[bearer], host=host).status == 200


def test_an_anonymous_call_is_left_to_the_app(door: Door) -> None:
    answer = door.same("GET", "/api/user/", host="accounts.localhost")
    assert answer.status == 401
    assert answer.header("X-Request-Id") is None  # the app said so, not the gateway


def test_a_bad_token_is_refused_also_where_none_is_needed(door: Door) -> None:
    bad = [authorization("Bearer x")]
    direct, through = door.both("GET", "/api/user/", headers=bad, host="accounts.localhost")
    assert through.refusal == direct.refusal
    assert through.header("X-Request-Id") is not None
