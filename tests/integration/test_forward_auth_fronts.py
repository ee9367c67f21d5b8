"""deploy/envoy and deploy/traefik as they stand: they move the bytes, the gateway decides."""

import asyncio
import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from examples.processes import Processes
from tests.factories import SECRET
from tests.integration.asking_proxies import KINDS, Front, start, token
from tests.integration.exchange import JSON, ask, authorization, head
from tests.integration.live.servers import start_live
from tests.integration.servers import RunningEcho, start_gateway


@pytest.fixture(scope="module", params=KINDS)
def front(
    request: pytest.FixtureRequest,
    echo: str,
    children: Processes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    told = {"identity": "headers", "identity_headers": {"X-User-Id": "{user_id}"}}
    guarded = {"issuers": ["app"], "upstream": "echo"}
    config = {
        "server": {"trusted_proxies": ["127.0.0.1/32"]},
        "issuers": {
            "app": {
                "signing_key": SECRET,
                "endpoints": {
                    "refresh": "/api/token/refresh/", "blacklist": "/api/token/blacklist/",
                },
                "revoke_on": [{"path": "/api/password/"}],
            }
        },
        "upstreams": {"echo": {"servers": [echo], **told}},
        "routes": [
            {"path": "/open", "auth": "none", "upstream": "echo"},
            {"path": "/staff", **guarded, "require": {"is_staff": True}},
            {"path": "/few", **guarded, "rate_limit": {"rate": "1/h", "burst": 2}},
            {"path": "/pages", **guarded, "cors": {"origins": ["https://app.example"]}},
            {"path": "/api", **guarded},
            {"path": "/upload", **guarded},
        ],
    }  # fmt: skip
    directory = tmp_path_factory.mktemp(request.param)
    gateway = start_gateway(config, directory=directory, children=children)
    yield start(request.param, gateway, app=echo, directory=directory, children=children)
    gateway.process.stop()


def test_a_call_with_a_token_goes_to_the_app_and_not_through_the_gateway(front: Front) -> None:
    answer = front.call("/api/x/?page=2", token=token())
    meta = answer.json()["meta"]
    assert (meta["QUERY_STRING"], meta["HTTP_X_USER_ID"]) == ("page=2", "7")
    assert "HTTP_AUTHORIZATION" not in meta
    assert ip_address(meta["HTTP_X_FORWARDED_FOR"])  # one, which is not the client's word


@pytest.mark.parametrize(
    "spelling", ["X-User-Id", "x-user-id", "X_User_Id", "x_user-id", "X-USER_ID"]
)
@pytest.mark.parametrize("path", ["/api/x/", "/open/x/"])
def test_identity_headers_are_the_gateways_alone(front: Front, path: str, spelling: str) -> None:
    good = token() if path == "/api/x/" else ""
    answer = front.call(path, (spelling, "forged"), (spelling, "again"), token=good)
    meta = answer.json()["meta"]
    assert "forged" not in str(meta)
    assert "again" not in str(meta)
    assert meta.get("HTTP_X_USER_ID") == ("7" if good else None)


@pytest.mark.parametrize(
    "name",
    [
        "Remote-User", "Script-Name", "Path-Info", "Proxy", "Forwarded", "X-Forwarded-For",
        "X-Forwarded-Host", "X-Forwarded-User", "X-Original-URL", "X-Real-IP",
    ],
)  # fmt: skip
def test_what_only_a_proxy_may_say_is_dropped(front: Front, name: str) -> None:
    assert "6.6.6.6" not in str(front.call("/open/", (name, "6.6.6.6")).json()["meta"])


@pytest.mark.parametrize(
    ("path", "good", "status"),
    [
        ("/api/", "", 401), ("/api/", "a.b.c", 401), ("/staff/", "good", 403),
        ("/nowhere/", "", 404),
    ],
)  # fmt: skip
def test_refusals_reach_the_client_unchanged(
    front: Front, path: str, good: str, status: int
) -> None:
    bearer = [authorization(f"Bearer {token() if good == 'good' else good}")] if good else []
    refused = ask(front.address, "GET", path, headers=bearer)
    itself = ask(front.gateway.address, "GET", path, headers=bearer)
    assert refused.status == status
    assert refused.refusal == itself.refusal


@pytest.mark.parametrize(
    "path",
    [
        "/open/%2e%2e/api/", "/open/../api/x", "/open//../api/", "/open/..;/api/",
        "/open/%2E%2E%2Fapi/",
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_gets_past_the_decision(front: Front, path: str) -> None:
    answer = front.call(path)
    assert answer.status in (400, 401) or not answer.json()["path"].startswith("/api")


def test_a_body_reaches_the_app_and_a_refused_one_does_not(front: Front) -> None:
    body = b"x" * 300_000
    told = front.call("/upload/", token=token(), method="POST", body=body)
    assert told.json()["length"] == len(body)
    assert front.call("/upload/", method="POST", body=body).status == 401


def test_a_logout_is_felt_at_once(front: Front) -> None:
    pair = front.log_in()
    assert front.call("/api/", token=pair["access"]).status == 200
    body = json.dumps({"refresh": pair["refresh"]}).encode()
    assert front.call("/api/token/blacklist/", JSON, method="POST", body=body).status == 200
    assert front.call("/api/", token=pair["access"]).status == 401


def test_what_ends_sessions_passes_the_gateway(front: Front) -> None:
    pair = front.log_in()
    changed = front.call("/api/password/", token=pair["access"], method="POST")
    assert changed.status == 200
    assert front.call("/api/", token=pair["access"]).status == 401


def test_each_request_counts_where_the_rate_is_limited(front: Front) -> None:
    good = token()
    answers = [front.call("/few/", token=good) for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert answers[-1].header("Retry-After")


def test_a_preflight_is_answered_by_the_gateway(front: Front) -> None:
    fields = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "GET")]
    answer = front.call("/pages/", *fields, method="OPTIONS")
    assert answer.status == 204
    assert answer.header("Access-Control-Allow-Origin") == "https://app.example"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_clients_can_not_ask_themselves(front: Front, method: str) -> None:
    told = [
        ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/open/"),
        ("Access-Control-Request-Method", "GET"),
    ]  # fmt: skip
    for path in ("/_gateway/authz", "/_gateway/authz/open/"):
        answer = front.call(path, *told, method=method)
        assert answer.status == 404
        assert answer.header("X-User-Id") is None


@pytest.mark.parametrize("kind", KINDS)
async def test_sockets_and_event_streams_pass_the_gateway_and_end_with_their_session(
    kind: str, children: Processes, tmp_path: Path
) -> None:
    live = start_live(
        "uvicorn", directory=tmp_path, children=children, trusted_proxies=["127.0.0.1/32"]
    )
    front = start(kind, live.gateway, app=live.app_address, directory=tmp_path, children=children)
    pair = live.log_in()
    host, _, port = front.address.removeprefix("http://").rpartition(":")
    events, writer = await asyncio.open_connection(host, int(port))
    bearer = authorization(f"Bearer {pair['access']}")
    writer.write(head("GET", "/events/", headers=[bearer]))
    address = front.address.replace("http", "ws")
    async with (
        asyncio.timeout(30),
        connect(f"{address}/ws/?token={pair['access']}", max_size=None) as opened,
    ):
        await opened.send("text")
        assert await opened.recv() == "text"
        await events.readuntil(b"data: 1\n\n")
        await asyncio.to_thread(ask, live.app_address, "GET", "/next/")
        await events.readuntil(b"data: 2\n\n")
        await asyncio.to_thread(live.log_out, pair)
        await opened.wait_closed()
        assert opened.close_code == 1008
        assert b"data: 3" not in await events.read()
    writer.close()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_gateway_nothing_passes(
    kind: str, own_echo: RunningEcho, children: Processes, tmp_path: Path
) -> None:
    config = {
        "server": {"trusted_proxies": ["127.0.0.1/32"]},
        "issuers": {"app": {"signing_key": SECRET}},
        "upstreams": {"echo": {"servers": [own_echo.address]}},
        "routes": [
            {"path": "/open", "auth": "none", "upstream": "echo"},
            {"path": "/", "issuers": ["app"], "upstream": "echo"},
        ],
    }
    gateway = start_gateway(config, directory=tmp_path, children=children)
    front = start(kind, gateway, app=own_echo.address, directory=tmp_path, children=children)
    assert front.call("/open/").status == 200
    gateway.process.stop()
    assert front.call("/open/").status >= 500
