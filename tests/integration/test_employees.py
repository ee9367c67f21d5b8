"""The employees app (djangorestframework-jwt 1.11, prefix SRI, HS256, several workers)."""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import jwt
import pytest

from tests.integration.exchange import FORM, JSON, Answer, Door, ask, authorization
from tests.integration.servers import RunningApp, RunningGateway

LOGIN = b'{"username": "Srinivas", "password": "admin123"}'
ROW = {"empid": 9, "empname": "asha", "salary": 100, "location": "Pune"}


@pytest.fixture
def door(employees: RunningApp, gateway: RunningGateway) -> Door:
    return Door(employees.address, gateway.address)


@pytest.fixture(scope="module")
def token(employees: RunningApp) -> str:
    answer = ask(employees.address, "POST", "/api-token-auth/", headers=[JSON], body=LOGIN)
    found = answer.json()["token"]
    assert isinstance(found, str)
    return found


def test_the_life_of_a_token(door: Door) -> None:
    def post(target: str, body: bytes, *headers: tuple[str, str]) -> Answer:
        return ask(door.gateway, "POST", target, headers=[JSON, *headers], body=body)

    token = post("/api-token-auth/", LOGIN).json()["token"]
    fresh = post("/api-token-refresh/", f'{{"token": "{token}"}}'.encode()).json()["token"]
    assert fresh != token
    for one in (token, fresh):  # the old one is good for the grace
        for prefix in ("SRI", "sri"):  # this package does not mind the case
            call = door.same("GET", "/api/emp/", headers=[authorization(f"{prefix} {one}")])
            assert call.status == 200
    body = f'{{"token": "{fresh}"}}'.encode()
    assert post("/api-token-verify/", body).json() == {"token": fresh}
    assert ask(door.direct, "POST", "/api-token-verify/", headers=[JSON], body=body).status == 200
    assert post("/api-token-blacklist/", body).status == 200
    for one in (token, fresh):
        bearer = authorization(f"SRI {one}")
        assert ask(door.gateway, "GET", "/api/emp/", headers=[bearer]).status == 401
    refused = post("/api-token-refresh/", body)
    assert (refused.status, refused.json()) == (
        400, {"non_field_errors": ["Token is blacklisted."]}
    )  # fmt: skip


@pytest.mark.parametrize("target", ["/api-token-refresh/", "/api-token-verify/"])
def test_a_token_path_refuses_as_the_app_does(door: Door, target: str) -> None:
    direct, through = door.both("POST", target, headers=[JSON], body=b'{"token": "x"}')
    assert direct.status == 400
    assert through.refusal == direct.refusal


def test_a_failed_login_comes_back_as_the_app_said_it(door: Door) -> None:
    body = b'{"username": "Srinivas", "password": "wrong"}'
    assert door.same("POST", "/api-token-auth/", headers=[JSON], body=body).status == 400


@pytest.mark.parametrize("kind", [JSON, FORM], ids=["json", "form"])
def test_a_row_is_made_read_and_deleted(
    door: Door, gateway: RunningGateway, token: str, kind: tuple[str, str]
) -> None:
    bearer = authorization(f"SRI {token}")
    body = (str(ROW).replace("'", '"') if kind == JSON else urlencode(ROW)).encode()
    made = ask(gateway.address, "POST", "/api/emp/", headers=[bearer, kind], body=body)
    assert made.status == 201
    path = f"/api/emp/{made.json()['id']}/"
    assert door.same("GET", path, headers=[bearer]).json()["empname"] == "asha"
    assert ask(gateway.address, "DELETE", path, headers=[bearer]).status == 204
    assert door.same("GET", path, headers=[bearer]).status == 404


Forge = Callable[..., str]


@pytest.fixture
def forge(employees: RunningApp) -> Forge:
    key = employees.secret_file.read_text()

    def sign(**changes: object) -> str:
        claims = {
            "username": "Srinivas", "user_id": 1, "exp": int(time.time()) + 60, "email": "",
            "orig_iat": int(time.time()), **changes,
        }  # fmt: skip
        return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, "HS256")

    return sign


REFUSED: Mapping[str, Callable[[Forge], str | None]] = {
    "no-header": lambda forge: None,
    "no-token": lambda forge: "SRI",
    "three-parts": lambda forge: f"SRI {forge()} x",
    "other-scheme": lambda forge: f"Bearer {forge()}",
    "not-a-token": lambda forge: "SRI x",
    "expired": lambda forge: f"SRI {forge(exp=1_600_000_000)}",
    "changed-signature": lambda forge: (
        f"SRI {forge()[:-9]}A{forge()[-8:]}"
        if forge()[-9] != "A"
        else f"SRI {forge()[:-9]}B{forge()[-8:]}"
    ),
    "no-username": lambda forge: f"SRI {forge(username=None)}",
    "no-algorithm": lambda forge: f"SRI {jwt.encode({'username': 'Srinivas'}, '', 'none')}",
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_token_is_refused_in_the_words_of_the_app(
    door: Door, forge: Forge, make: Callable[[Forge], str | None]
) -> None:
    value = make(forge)
    headers = [authorization(value)] if value is not None else []
    direct, through = door.both("GET", "/api/emp/", headers=headers)
    assert direct.status == 401
    assert through.refusal == direct.refusal


def test_the_app_answers_under_its_own_host_name(door: Door, token: str) -> None:
    bearer = authorization(f"SRI {token}")
    for target in ("/api/emp/", "/admin/login/"):
        answer = door.same("GET", target, headers=[bearer], host="employees.localhost")
        assert answer.status == 200
