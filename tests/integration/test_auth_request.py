"""deploy/nginx/auth_request.conf under a real nginx: it moves the bytes, the gateway decides."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from examples.processes import Processes
from tests.integration.auth_request_conf import Site, start
from tests.integration.exchange import JSON, ask
from tests.integration.live.servers import start_live
from tests.integration.servers import KeptConnection, RunningApp, RunningEcho, start_gateway

REMEMBERED = 1.0  # seconds, by proxy_cache_valid


@pytest.fixture(scope="module")
def site(
    students: RunningApp, echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    config = {
        "server": {"trusted_proxies": ["127.0.0.1/32"]},
        "issuers": {
            "students": {
                "signing_key": {"file": str(students.secret_file)},
                "endpoints": {
                    "obtain": "/gettoken/", "refresh": "/refreshtoken/",
                    "verify": "/verifytoken/", "blacklist": "/logout/",
                },
                "upstream": "students",
                "revoke_on": [{"path": "/api/password/"}],
            }
        },
        "upstreams": {
            "students": {"servers": [students.address]},
            "echo": {
                "servers": [echo],
                "identity": "headers",
                "identity_headers": {"X-User-Id": "{user_id}"},
            },
            "plain": {"servers": [echo]},
        },
        "routes": [
            {"path": "/open", "auth": "none", "upstream": "echo"},
            {"path": "/plain", "issuers": ["students"], "upstream": "plain"},
            {
                "path": "/staff", "issuers": ["students"], "upstream": "echo",
                "require": {"is_staff": True},
            },
            {
                "path": "/few", "issuers": ["students"], "upstream": "echo",
                "rate_limit": {"rate": "1/h", "burst": 2},
            },
            {
                "path": "/pages", "issuers": ["students"], "upstream": "echo",
                "cors": {"origins": ["https://app.example"]},
            },
            {
                "path": "/read", "issuers": ["students"], "upstream": "echo",
                "methods": ["GET"], "hosts": ["localhost"],
            },
            {"path": "/api", "issuers": ["students"], "upstream": "echo"},
            {"path": "/upload", "issuers": ["students"], "upstream": "echo"},
        ],
    }  # fmt: skip
    directory = tmp_path_factory.mktemp("auth-request")
    gateway = start_gateway(config, directory=directory, children=children)
    yield start(gateway, app=echo, directory=directory, children=children)
    gateway.process.stop()


def test_login_refresh_and_a_protected_call(site: Site) -> None:
    pair = site.log_in()
    body = json.dumps({"refresh": pair["refresh"]}).encode()
    renewed = ask(site.address, "POST", "/refreshtoken/", headers=[JSON], body=body).json()
    assert renewed["refresh"] != pair["refresh"]
    answer = site.call("/api/x/?page=2", token=renewed["access"])
    assert answer.status == 200
    assert answer.json()["meta"]["QUERY_STRING"] == "page=2"
    # What went past the gateway does not tell of it.
    assert answer.header("X-Request-Id") is None


@pytest.mark.parametrize(
    "spelling", ["X-User-Id", "x-user-id", "X_User_Id", "x_user-id", "X-USER_ID"]
)
@pytest.mark.parametrize("path", ["/api/x/", "/open/x/"])
def test_identity_headers_are_the_gateways_alone(site: Site, path: str, spelling: str) -> None:
    token = site.log_in()["access"] if path == "/api/x/" else ""
    for _ in range(2):  # decided, and remembered
        answer = site.call(path, (spelling, "forged"), (spelling, "again"), token=token)
        assert answer.status == 200
        meta = answer.json()["meta"]
        assert "forged" not in str(meta)
        assert meta.get("HTTP_X_USER_ID", "").isdigit() is bool(token)
        assert "HTTP_AUTHORIZATION" not in meta


def test_with_passthrough_the_app_sees_the_token(site: Site) -> None:
    token = site.log_in()["access"]
    meta = site.call("/plain/", ("X-User-Id", "1"), token=token).json()["meta"]
    assert meta["HTTP_AUTHORIZATION"] == f"Bearer {token}"
    assert "HTTP_X_USER_ID" not in meta


@pytest.mark.parametrize(
    "name", ["Remote-User", "Script-Name", "Proxy", "X-Forwarded-User", "X-Original-URL"]
)
def test_what_only_a_proxy_may_say_is_dropped(site: Site, name: str) -> None:
    assert "forged" not in str(site.call("/open/", (name, "forged")).json()["meta"])


def test_the_app_hears_of_the_client(site: Site) -> None:
    meta = site.call("/open/", ("X-Forwarded-For", "6.6.6.6")).json()["meta"]
    assert meta["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


def test_each_request_has_an_id_that_clients_do_not_choose(site: Site) -> None:
    kept = KeptConnection(site.address)
    ids = {
        kept.ask("GET", "/open/", headers=[("X-Request-Id", "forged")]).json()["meta"][
            "HTTP_X_REQUEST_ID"
        ]
        for _ in range(3)
    }
    kept.close()
    ids.add(site.call("/open/").json()["meta"]["HTTP_X_REQUEST_ID"])
    assert len(ids) == 4
    assert "forged" not in ids
    # The gateway takes it over, so its log names what nginx names.
    assert re.fullmatch(r"\d+-\d+-[\d.]+", site.call("/api/").header("X-Request-Id") or "")


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/", "", 401), ("/api/", "a.b.c", 401), ("/staff/", "good", 403),
        ("/nowhere/", "", 404), ("/api/%2e%2e/open/", "", 400), ("/api//x", "", 401),
    ],
)  # fmt: skip
def test_refusals_reach_the_client_unchanged(
    site: Site, path: str, token: str, status: int
) -> None:
    token = site.log_in()["access"] if token == "good" else token
    fields = [("Authorization", f"Bearer {token}")] if token else []
    refused = site.call(path, token=token)
    itself = ask(site.gateway.address, "GET", path, headers=fields)
    assert refused.status == status
    assert refused.refusal == itself.refusal


@pytest.mark.parametrize("path", ["/open/%2e%2e/api/", "/open/../api/x", "/open//../api/"])
def test_no_spelling_of_a_path_gets_past_the_decision(site: Site, path: str) -> None:
    site.call("/open/")
    assert site.call(path).status in (400, 401)


def test_a_body_reaches_the_app_and_a_refused_one_does_not(site: Site) -> None:
    token, body = site.log_in()["access"], b"x" * 300_000
    bearer = ("Authorization", f"Bearer {token}")
    told = ask(site.address, "POST", "/upload/", headers=[bearer], body=body)
    assert told.json()["length"] == len(body)
    assert ask(site.address, "POST", "/upload/", body=body).status == 401


def test_a_decision_is_remembered_by_a_hash_alone(site: Site) -> None:
    token = site.log_in()["access"]
    before = site.gateway.metric("gateway_requests_total")
    answers = [site.call("/api/remembered/", token=token).status for _ in range(20)]
    asked = site.gateway.metric("gateway_requests_total") - before
    assert set(answers) == {200}
    assert asked <= 4  # once, and once more for each second that this took
    files = [file.read_bytes() for file in site.decisions.rglob("*") if file.is_file()]
    assert files
    for part in token.split("."):
        assert not any(part.encode() in file for file in files)


def test_a_token_is_not_remembered_for_another_path_method_or_host(site: Site) -> None:
    token = site.log_in()["access"]
    assert site.call("/api/", token=token).status == 200
    assert site.call("/staff/", token=token).status == 403
    assert site.call("/api/").status == 401
    assert site.call("/api/", token=token[:-3] + "abc").status == 401
    bearer = [("Authorization", f"Bearer {token}")]
    assert site.call("/read/", token=token).status == 200
    assert ask(site.address, "PUT", "/read/", headers=bearer).status == 404
    assert ask(site.address, "GET", "/read/", headers=bearer, host="other.example").status == 404


def test_a_logout_is_felt_within_the_time_that_decisions_are_remembered(site: Site) -> None:
    pair = site.log_in()
    assert site.call("/api/", token=pair["access"]).status == 200
    body = json.dumps({"refresh": pair["refresh"]}).encode()
    assert ask(site.address, "POST", "/logout/", headers=[JSON], body=body).status == 200
    began = time.monotonic()
    while site.call("/api/", token=pair["access"]).status == 200:
        assert time.monotonic() - began < REMEMBERED + 1  # nginx counts in whole seconds
    assert site.call("/api/", token=pair["access"]).status == 401


def test_each_request_counts_where_the_rate_is_limited(site: Site) -> None:
    token = site.log_in()["access"]
    answers = [site.call("/few/", token=token) for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[-1].header("Retry-After")


def test_what_ends_sessions_passes_the_gateway(site: Site) -> None:
    token = site.log_in()["access"]
    bearer = ("Authorization", f"Bearer {token}")
    assert ask(site.address, "POST", "/api/password/", headers=[bearer]).status == 200
    assert site.call("/api/after/", token=token).status == 401


def test_a_preflight_is_answered_by_the_gateway(site: Site) -> None:
    fields = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "GET")]
    answer = ask(site.address, "OPTIONS", "/pages/", headers=fields)
    assert answer.status == 204
    assert answer.header("Access-Control-Allow-Origin") == "https://app.example"


def test_clients_can_neither_ask_nor_see_decisions(site: Site) -> None:
    told = [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/open/")]
    for path in ("/_gateway/authz", "/_gateway/authz/open/", "/_gateway/decision"):
        assert site.call(path, *told).status == 404


async def test_a_socket_passes_the_gateway_and_ends_with_its_session(
    children: Processes, tmp_path: Path
) -> None:
    live = start_live(
        "uvicorn", directory=tmp_path, children=children, trusted_proxies=["127.0.0.1/32"]
    )
    site = start(live.gateway, app=live.app_address, directory=tmp_path, children=children)
    pair = live.log_in()
    address = site.address.replace("http", "ws")
    async with connect(f"{address}/ws/?token={pair['access']}", max_size=None) as opened:
        await opened.send("text")
        assert await opened.recv() == "text"
        live.log_out(pair)
        await opened.wait_closed()
        assert opened.close_code == 1008


def test_the_gateway_may_be_asked_by_a_unix_socket(
    own_echo: RunningEcho, children: Processes, tmp_path: Path
) -> None:
    config = {
        "server": {"host": f"unix:{tmp_path / 'gateway.sock'}"},
        "upstreams": {"echo": {"servers": [own_echo.address]}},
        "routes": [{"path": "/open", "auth": "none", "upstream": "echo"}],
    }
    gateway = start_gateway(config, directory=tmp_path, children=children)
    site = start(gateway, app=own_echo.address, directory=tmp_path, children=children)
    assert site.call("/open/").json()["meta"]["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert site.call("/nowhere/").status == 404
    gateway.process.stop()


def test_without_a_gateway_nothing_passes(
    students: RunningApp, own_echo: RunningEcho, children: Processes, tmp_path: Path
) -> None:
    config = {
        "server": {"trusted_proxies": ["127.0.0.1/32"]},
        "upstreams": {"echo": {"servers": [own_echo.address]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }
    gateway = start_gateway(config, directory=tmp_path, children=children)
    site = start(gateway, app=own_echo.address, directory=tmp_path, children=children)
    assert site.call("/").status == 200
    gateway.process.stop()
    assert site.call("/other/").status == 502
