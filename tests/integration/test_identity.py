"""What a real Django is told about the bearer: exactly what the gateway says.

The echo app takes header names with underscores, and believes SCRIPT_NAME and the like of its
peer, as Gunicorn does of the loopback: only the gateway keeps the forgeries away.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest

from examples.processes import Processes
from tests.integration.exchange import JSON, ask, authorization, meta_of, told
from tests.integration.servers import RunningApp, RunningGateway, start_gateway

Header = tuple[str, str]

IDENTITY_HEADERS = {"X-User-Id": "{user_id}", "Remote-User": "u-{user_id}"}
MODES: dict[str, dict[str, Any]] = {
    "headers": {"identity": "headers", "identity_headers": IDENTITY_HEADERS},
    "none": {"identity": "none"},
    "passthrough": {"identity": "passthrough"},
    "mint": {"identity": "mint", "mint": {"issuer": "accounts"}},
}
AUTHS = ("required", "optional", "none")


def _issuers(
    students: RunningApp, accounts: RunningApp, employees: RunningApp
) -> dict[str, dict[str, Any]]:
    return {
        "students": {"signing_key": {"file": str(students.secret_file)}},
        "accounts": {
            "algorithm": "RS256",
            "signing_key": {"file": str(accounts.example.state / "private.pem")},
            "verifying_key": {"file": str(accounts.example.state / "public.pem")},
        },
        "employees": {
            "profile": "djangorestframework-jwt",
            "profile_version": "1.11",
            "signing_key": {"file": str(employees.secret_file)},
            "auth_header_types": ["SRI"],
        },
    }


@pytest.fixture(scope="module")
def gateway(
    students: RunningApp,
    accounts: RunningApp,
    employees: RunningApp,
    echo: str,
    children: Processes,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunningGateway:
    """Echo under `/MODE/AUTH`; each real app under a host name, told by a token of its own form."""
    apps = {"students": students, "accounts": accounts, "employees": employees}
    upstreams = {mode: {"servers": [echo], **settings} for mode, settings in MODES.items()}
    routes: list[dict[str, Any]] = []
    for name, app in apps.items():
        mint = {"identity": "mint", "mint": {"issuer": name}}
        upstreams[f"minted-{name}"] = {"servers": [app.address], **mint}
        others = [other for other in apps if other != name]
        routes.append(
            {"hosts": [f"{name}.localhost"], "path": "/", "issuers": others,
             "upstream": f"minted-{name}"}
        )  # fmt: skip
    for mode in MODES:
        for auth in AUTHS:
            judged = {} if auth == "none" else {"issuers": ["students"]}
            routes.append({"path": f"/{mode}/{auth}", "auth": auth, "upstream": mode, **judged})
    issuers = _issuers(students, accounts, employees)
    config = {"issuers": issuers, "upstreams": upstreams, "routes": routes}
    directory = tmp_path_factory.mktemp("identity")
    return start_gateway(config, directory=directory, children=children)


@pytest.fixture
def bearer(student_token: str) -> Header:
    return authorization(f"Bearer {student_token}")


# Forged identities, in every spelling that WSGI folds into one

FORGERIES: Mapping[str, Sequence[Header]] = {
    "as-it-is": [("X-User-Id", "999")],
    "lower-case": [("x-user-id", "999")],
    "upper-case": [("X-USER-ID", "999")],
    "underscores": [("x_user_id", "999")],
    "mixed": [("X_USER-ID", "999")],
    "mixed-otherwise": [("X-User_Id", "999")],
    "twice": [("X-User-Id", "999"), ("X-User-Id", "998")],
    "two-spellings": [("X-User-Id", "999"), ("x_user_id", "998")],
    "empty": [("X-User-Id", "")],
    "named-in-connection": [("X-User-Id", "999"), ("Connection", "keep-alive, X-User-Id")],
    "only-named-in-connection": [("Connection", "x-user-id, remote-user, authorization")],
    "underscores-in-connection": [("x_user_id", "999"), ("Connection", "x_user_id")],
    "remote-user": [("Remote-User", "root"), ("REMOTE_USER", "root"), ("remote_user", "root")],
}


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("auth", ["required", "optional"])
def test_django_hears_the_verified_identity_alone(
    gateway: RunningGateway, bearer: Header, auth: str, forged: Sequence[Header]
) -> None:
    for headers in ([bearer, *forged], [*forged, bearer]):
        meta = meta_of(ask(gateway.address, "GET", f"/headers/{auth}/", headers=headers))
        heard = told(meta, "X-User-Id", "Remote-User", "Authorization")
        assert heard == {"HTTP_X_USER_ID": "1", "HTTP_REMOTE_USER": "u-1"}
        assert "REMOTE_USER" not in meta


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("auth", ["optional", "none"])
def test_django_hears_of_nobody_where_nobody_is_verified(
    gateway: RunningGateway, auth: str, forged: Sequence[Header]
) -> None:
    meta = meta_of(ask(gateway.address, "GET", f"/headers/{auth}/", headers=forged))
    assert told(meta, "X-User-Id", "Remote-User") == {}
    assert "REMOTE_USER" not in meta


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("mode", MODES)
def test_a_preflight_carries_no_identity(
    gateway: RunningGateway, bearer: Header, mode: str, auth: str
) -> None:
    """It is asked for no token, so whatever it carries was verified by nobody."""
    headers = [("Access-Control-Request-Method", "GET"), ("x_user_id", "999"), bearer]
    meta = meta_of(ask(gateway.address, "OPTIONS", f"/{mode}/{auth}/", headers=headers))
    assert ("HTTP_AUTHORIZATION" in meta) is (auth == "none")  # forwarded untouched there
    if mode == "headers":
        assert told(meta, "X-User-Id", "Remote-User") == {}


CREDENTIALS_HEARD = {
    ("passthrough", "required"): "as-sent",
    ("passthrough", "optional"): "as-sent",
    ("passthrough", "none"): "as-sent",
    ("none", "required"): "nothing",
    ("none", "optional"): "nothing",
    ("none", "none"): "as-sent",
    ("headers", "none"): "as-sent",
    ("mint", "required"): "minted",
    ("mint", "optional"): "minted",
    ("mint", "none"): "as-sent",
}


@pytest.mark.parametrize(
    ("mode", "auth", "heard"),
    [(mode, auth, heard) for (mode, auth), heard in CREDENTIALS_HEARD.items()],
)
def test_django_hears_the_credentials_that_its_mode_allows(
    gateway: RunningGateway,
    bearer: Header,
    accounts: RunningApp,
    mode: str,
    auth: str,
    heard: str,
) -> None:
    answer = ask(gateway.address, "GET", f"/{mode}/{auth}/", headers=[bearer])
    value = meta_of(answer).get("HTTP_AUTHORIZATION")
    if heard == "nothing":
        assert value is None
    elif heard == "as-sent":
        assert value == bearer[1]
    else:
        assert value is not None
        word, _, token = value.partition(" ")
        key = (accounts.example.state / "public.pem").read_text()
        claims = jwt.decode(token, key, algorithms=["RS256"])
        assert (word, claims["user_id"]) == ("Bearer", "1")
        assert claims["exp"] <= time.time() + 30


@pytest.mark.parametrize("mode", MODES)
def test_two_credentials_are_never_one_picked(
    gateway: RunningGateway, bearer: Header, mode: str
) -> None:
    for headers in ([bearer, authorization("Bearer x")], [authorization("Bearer x"), bearer]):
        answer = ask(gateway.address, "GET", f"/{mode}/required/", headers=headers)
        assert answer.status in (400, 401)


# Minted tokens, which the real apps take for their own


def test_a_students_token_opens_accounts(gateway: RunningGateway, bearer: Header) -> None:
    answer = ask(gateway.address, "GET", "/api/user/", headers=[bearer], host="accounts.localhost")
    assert answer.json() == {"id": 1, "username": "shoumitro"}


def test_a_students_token_that_names_the_user_opens_employees(
    gateway: RunningGateway, students: RunningApp
) -> None:
    claims = {
        "token_type": "access", "exp": int(time.time()) + 60, "jti": "0" * 32, "user_id": "1",
        "username": "Srinivas",
    }  # fmt: skip
    token = jwt.encode(claims, students.secret_file.read_text(), "HS256")
    bearer = authorization(f"Bearer {token}")
    answer = ask(gateway.address, "GET", "/api/emp/", headers=[bearer], host="employees.localhost")
    assert answer.status == 200


def test_a_token_that_names_nobody_opens_no_app_that_knows_names(
    gateway: RunningGateway, bearer: Header
) -> None:
    answer = ask(gateway.address, "GET", "/api/emp/", headers=[bearer], host="employees.localhost")
    assert answer.status == 403
    assert answer.json() == {"detail": "You do not have permission to perform this action."}


def test_an_employees_token_opens_students(gateway: RunningGateway, employees: RunningApp) -> None:
    login = b'{"username": "Srinivas", "password": "admin123"}'
    pair = ask(employees.address, "POST", "/api-token-auth/", headers=[JSON], body=login).json()
    bearer = authorization(f"SRI {pair['token']}")
    answer = ask(
        gateway.address, "GET", "/studentapi/", headers=[bearer], host="students.localhost"
    )
    assert [row["name"] for row in answer.json()][:2] == ["ronaldo", "messi"]


def test_no_app_is_opened_without_a_token(gateway: RunningGateway) -> None:
    for host, target in (("accounts", "/api/user/"), ("employees", "/api/emp/")):
        answer = ask(gateway.address, "GET", target, host=f"{host}.localhost")
        assert answer.status == 401
        assert answer.header("X-Request-Id") is not None


def test_no_token_reaches_the_log(gateway: RunningGateway, bearer: Header) -> None:
    ask(gateway.address, "GET", "/passthrough/required/?token=s3cret", headers=[bearer])
    gateway.process.wait_for(lambda: "/passthrough/required/" in gateway.process.output() or None)
    log = Path(gateway.process.log).read_text()
    assert bearer[1].split()[1] not in log
    assert "s3cret" not in log
