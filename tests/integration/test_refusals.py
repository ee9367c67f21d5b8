"""Tokens that are refused: the gateway's answer is the students app's own, word for word."""

import time
from collections.abc import Callable, Mapping

import jwt
import pytest

from tests.integration.exchange import Door, authorization
from tests.integration.servers import RunningApp, RunningGateway


@pytest.fixture
def door(students: RunningApp, gateway: RunningGateway) -> Door:
    return Door(students.address, gateway.address)


Forge = Callable[[dict[str, object]], str]


@pytest.fixture
def forge(students: RunningApp) -> Forge:
    """Tokens signed with the app's key; a claim set to None is left out."""
    key = students.secret_file.read_text()

    def sign(changes: dict[str, object]) -> str:
        now = int(time.time())
        claims = {
            "token_type": "access", "exp": now + 60, "iat": now - 5, "jti": "0" * 32,
            "user_id": "1", **changes,
        }  # fmt: skip
        return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, "HS256")

    return sign


def _flipped(token: str, part: int) -> str:
    parts = token.split(".")
    parts[part] = parts[part][:5] + ("A" if parts[part][5] != "A" else "B") + parts[part][6:]
    return ".".join(parts)


REFUSED: Mapping[str, Callable[[Forge], str | None]] = {
    "no-header": lambda forge: None,
    "empty": lambda forge: "",
    "no-token": lambda forge: "Bearer",
    "three-parts": lambda forge: f"Bearer {forge({})} x",
    "other-scheme": lambda forge: "Basic dXNlcjE6eA==",
    "lower-case-scheme": lambda forge: f"bearer {forge({})}",
    "not-a-token": lambda forge: "Bearer x",
    "two-segments": lambda forge: f"Bearer {forge({}).rpartition('.')[0]}",
    "expired": lambda forge: f"Bearer {forge({'exp': 1_600_000_000})}",
    "not-yet-issued": lambda forge: f"Bearer {forge({'iat': int(time.time()) + 900})}",
    "not-yet-valid": lambda forge: f"Bearer {forge({'nbf': int(time.time()) + 900})}",
    "changed-payload": lambda forge: f"Bearer {_flipped(forge({}), 1)}",
    "changed-signature": lambda forge: f"Bearer {_flipped(forge({}), 2)}",
    "changed-header": lambda forge: f"Bearer {_flipped(forge({}), 0)}",
    "other-key": lambda forge: f"Bearer {jwt.encode({'user_id': '1'}, 'x' * 50, 'HS256')}",
    "no-algorithm": lambda forge: f"Bearer {jwt.encode({'user_id': '1'}, '', 'none')}",
    "refresh-token": lambda forge: f"Bearer {forge({'token_type': 'refresh'})}",
    "no-type": lambda forge: f"Bearer {forge({'token_type': None})}",
    "no-expiry": lambda forge: f"Bearer {forge({'exp': None})}",
    "no-id": lambda forge: f"Bearer {forge({'jti': None})}",
    "no-user": lambda forge: f"Bearer {forge({'user_id': None})}",
    "not-ascii": lambda forge: "Bearer \xe9\xe9",
}


@pytest.mark.parametrize("accept", ["*/*", "application/json; indent=4"], ids=["any", "indented"])
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_token_is_refused_in_the_words_of_the_app(
    door: Door, forge: Forge, make: Callable[[Forge], str | None], accept: str
) -> None:
    value = make(forge)
    headers = [("Accept", accept), *([authorization(value)] if value is not None else [])]
    direct, through = door.both("GET", "/studentapi/", headers=headers)
    assert direct.status == 401
    assert through.refusal == direct.refusal
    assert through.header("X-Request-Id") is not None


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"])
def test_every_method_is_refused_without_a_token_as_the_app_does(door: Door, method: str) -> None:
    direct, through = door.both(method, "/studentapi/1/")
    assert direct.status == 401
    assert through.refusal == direct.refusal


@pytest.mark.parametrize("accept", ["image/png", "text/plain, image/*"])
def test_negotiation_comes_before_the_token(door: Door, accept: str) -> None:
    direct, through = door.both("GET", "/studentapi/", headers=[("Accept", accept)])
    assert direct.status == 406
    assert through.refusal == direct.refusal


def test_a_user_that_is_gone_is_refused_by_the_app(door: Door, forge: Forge) -> None:
    gone = authorization(f"Bearer {forge({'user_id': '4711'})}")
    answer = door.same("GET", "/studentapi/", headers=[gone])
    assert (answer.status, answer.json()["code"]) == (401, "user_not_found")
