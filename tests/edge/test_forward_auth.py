"""A trusted proxy asks whether a request may pass, and hears what the gateway itself would do."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.edge.cross_origin import PLAIN
from tests.factories import SECRET, sign
from tests.servers import RunningGateway, answering, gateway_running, scripted

CONFIG = """
server: {{trusted_proxies: [{trusted}]}}
logging: {{access_log: false}}
issuers:
  app:
    signing_key: {secret}
    endpoints: {{obtain: /api/token/, refresh: /api/refresh/, verify: null, blacklist: null}}
    upstream: plain
    revoke_on: [{{path: /api/password/, methods: [POST]}}]
upstreams:
  plain: {{servers: ["http://127.0.0.1:{port}"]}}
  told:
    servers: ["http://127.0.0.1:{port}"]
    identity: headers
    identity_headers: {{X-User-Id: "{{user_id}}", X-Team: "{{team}}"}}
  minted: {{servers: ["http://127.0.0.1:{port}"], identity: mint, mint: {{issuer: app}}}}
  untold: {{servers: ["http://127.0.0.1:{port}"], identity: none}}
routes:
  - {{path: /open, auth: none, upstream: told}}
  - {{path: /told, auth: optional, issuers: [app], upstream: told}}
  - {{path: /minted, issuers: [app], upstream: minted}}
  - {{path: /untold, issuers: [app], upstream: untold}}
  - {{path: /staff, issuers: [app], upstream: plain, require: {{is_staff: true}}}}
  - {{path: /few, issuers: [app], upstream: plain, rate_limit: {{rate: 1/h}}}}
  - {{path: /pages, issuers: [app], upstream: plain, cors: {{origins: ["https://app.example"]}}}}
  - {{path: /only, hosts: [one.example], methods: [POST], issuers: [app], upstream: plain}}
  - {{path: /api, issuers: [app], upstream: plain}}
"""
REMOVE = "x-envoy-auth-headers-to-remove"


def bearer(**claims: object) -> str:
    now = int(time.time())
    token = sign(
        {"token_type": "access", "iat": now, "exp": now + 300, "jti": uuid4().hex,
         "user_id": "7", **claims}
    )  # fmt: skip
    return f"Authorization: Bearer {token}"


class Answer:
    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        self.status = int(first.split(" ")[1])
        self.fields = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        self.body = body

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


Ask = Callable[..., Awaitable[Answer]]


def question(
    path: str, *fields: str, method: str = "GET", target: str = "/_gateway/authz"
) -> bytes:
    told = [f"X-Forwarded-Method: {method}", f"X-Forwarded-Uri: {path}"]
    lines = [f"GET {target} HTTP/1.1", "Host: gateway", *told, *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def send(gateway: RunningGateway, *requests: bytes) -> Answer:
    client = await gateway.connect()
    try:
        for each in requests:
            await client.send(each)
            head = await client.head()
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            answer = Answer(head, await client.exactly(length))
    finally:
        await client.close()
    return answer


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Ask]:
    """`await asked(request, …)` gives the answer to the last of them, the upstream unasked."""
    async with scripted(answering(PLAIN)) as upstream:
        config = CONFIG.format(secret=SECRET, port=upstream.port, trusted="127.0.0.1/32")
        async with gateway_running(config, tmp_path) as gateway:

            async def ask(*requests: bytes) -> Answer:
                return await send(gateway, *requests)

            yield ask
            assert upstream.heads == []


async def test_a_good_token_may_pass(asked: Ask) -> None:
    answer = await asked(question("/api/x/?page=2", bearer()))
    assert (answer.status, answer.body) == (200, b"")
    assert "cache-control" not in answer.fields
    assert REMOVE not in answer.fields  # the client's own token is what the upstream is told


@pytest.mark.parametrize("said", [[], ["Authorization: Bearer a.b.c"]], ids=["none", "bad"])
async def test_a_refusal_is_the_proxied_requests(asked: Ask, said: list[str]) -> None:
    answer = await asked(question("/api/x/", *said))
    lines = ["GET /api/x/ HTTP/1.1", "Host: gateway", *said]
    proxied = await asked("\r\n".join([*lines, "", ""]).encode())
    assert answer.status == proxied.status == 401
    assert answer.body == proxied.body
    for name in ("www-authenticate", "content-type"):
        assert answer.fields[name] == proxied.fields[name]


async def test_unmet_claims_are_403_in_the_issuers_words(asked: Ask) -> None:
    answer = await asked(question("/staff/", bearer()))
    assert answer.status == 403
    assert json.loads(answer.body) == {
        "detail": "You do not have permission to perform this action."
    }
    assert (await asked(question("/staff/", bearer(is_staff=True)))).status == 200


async def test_identity_headers_are_told_and_the_others_named(asked: Ask) -> None:
    answer = await asked(question("/told/", bearer(), "X-User-Id: 1", "X-Team: root"))
    assert answer.fields["x-user-id"] == "7"
    assert "x-team" not in answer.fields
    assert answer.fields[REMOVE] == "authorization,x-team"


@pytest.mark.parametrize("path", ["/told/", "/open/"])
async def test_an_anonymous_request_has_every_identity_header_removed(
    asked: Ask, path: str
) -> None:
    answer = await asked(question(path, "X-User-Id: 1"))
    assert answer.status == 200
    assert "x-user-id" not in answer.fields
    assert {"x-user-id", "x-team"} <= set(answer.fields[REMOVE].split(","))


async def test_a_minted_token_is_told_and_kept_by_nobody(asked: Ask) -> None:
    own = bearer()
    answer = await asked(question("/minted/", own))
    assert answer.fields["authorization"].startswith("Bearer ")
    assert answer.fields["authorization"] not in own
    assert answer.fields["cache-control"] == "no-store"
    assert REMOVE not in answer.fields


async def test_without_an_identity_the_token_is_named_for_removal(asked: Ask) -> None:
    answer = await asked(question("/untold/", bearer()))
    assert answer.fields[REMOVE] == "authorization"


async def test_host_and_method_choose_the_route(asked: Ask) -> None:
    told = ["X-Forwarded-Host: evil.example, one.example", bearer()]
    assert (await asked(question("/only/", *told, method="POST"))).status == 200
    assert (await asked(question("/only/", *told))).status == 404
    assert (await asked(question("/only/", bearer(), method="POST"))).status == 404


@pytest.mark.parametrize(
    "path",
    ["/api/../open/", "/api/%2e%2e/open/", "//open/x", "/api\\x", "http://a/api/", "/%zz", "*"],
)
async def test_a_path_that_two_servers_read_differently_is_refused(asked: Ask, path: str) -> None:
    answer = await asked(question(path, bearer()))
    assert (answer.status, answer.code) == (400, "path_invalid")


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/token/", "POST"), ("/api/refresh/", "POST"), ("/api/password/", "POST")],
)
async def test_what_the_gateway_must_carry_itself_is_sent_there(
    asked: Ask, path: str, method: str
) -> None:
    answer = await asked(question(path, bearer(), method=method))
    assert (answer.status, answer.code) == (403, "gateway_needed")


async def test_so_is_a_preflight_that_the_gateway_answers(asked: Ask) -> None:
    fields = ["Origin: https://app.example", "Access-Control-Request-Method: GET"]
    answer = await asked(question("/pages/", *fields, method="OPTIONS"))
    assert (answer.status, answer.code) == (403, "gateway_needed")
    other = await asked(question("/api/", *fields, method="OPTIONS"))
    assert other.status == 200


async def test_a_page_can_read_the_refusal(asked: Ask) -> None:
    answer = await asked(question("/pages/", "Origin: https://app.example"))
    assert answer.status == 401
    assert answer.fields["access-control-allow-origin"] == "https://app.example"


async def test_each_question_counts_where_the_rate_is_limited(asked: Ask) -> None:
    one = question("/few/", bearer())
    first = await asked(one)
    assert (first.status, first.fields["cache-control"]) == (200, "no-store")
    assert (await asked(one)).status == 429


async def test_envoy_asks_by_the_target_itself(asked: Ask) -> None:
    def envoy(path: str, *fields: str) -> bytes:
        lines = [f"POST /_gateway/authz{path} HTTP/1.1", "Host: one.example", *fields]
        return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()

    assert (await asked(envoy("/only/?x=1", bearer()))).status == 200
    # What the client says of its request does not count then.
    forged = ["X-Forwarded-Uri: /open/", "X-Forwarded-Method: GET"]
    assert (await asked(envoy("/api/x/", *forged))).status == 401
    assert (await asked(envoy("/only/", bearer(), "X-Forwarded-Host: a.example"))).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["X-Forwarded-Uri: /api/"],
        ["X-Forwarded-Method: GET"],
        ["X-Forwarded-Method: get", "X-Forwarded-Uri: /api/"],
        ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /open/", "X-Forwarded-Uri: /api/"],
        ["X-Forwarded-Method: GET", "X-Forwarded-Method: PUT", "X-Forwarded-Uri: /api/"],
    ],
)
async def test_a_question_must_tell_once_what_it_asks_about(asked: Ask, fields: list[str]) -> None:
    lines = ["GET /_gateway/authz HTTP/1.1", "Host: gateway", bearer(), *fields]
    answer = await asked("\r\n".join([*lines, "", ""]).encode())
    assert (answer.status, answer.code) == (400, "forwarded_invalid")


async def test_a_question_with_a_body_is_refused(asked: Ask) -> None:
    answer = await asked(question("/api/", bearer(), "Content-Length: 2") + b"{}")
    assert (answer.status, answer.code) == (400, "framing_invalid")


async def test_the_connection_is_kept_through_refusals(asked: Ask) -> None:
    answer = await asked(
        question("/api/"), question("/api/token/", method="POST"), question("/open/")
    )
    assert answer.status == 200


async def test_only_trusted_proxies_may_ask(tmp_path: Path) -> None:
    async with scripted(answering(PLAIN)) as upstream:
        config = CONFIG.format(secret=SECRET, port=upstream.port, trusted="192.0.2.0/24")
        async with gateway_running(config, tmp_path) as gateway:
            for target in ("/_gateway/authz", "/_gateway/authz/open/", "/%5Fgateway/authz"):
                answer = await send(gateway, question("/open/", bearer(), target=target))
                assert (answer.status, answer.code) == (403, "peer_untrusted")
            assert upstream.heads == []


async def test_a_token_of_an_ended_session_may_not_pass(tmp_path: Path) -> None:
    async with scripted(answering(PLAIN)) as upstream:
        config = CONFIG.format(secret=SECRET, port=upstream.port, trusted="127.0.0.1/32")
        async with gateway_running(config, tmp_path) as gateway:
            one = question("/api/", bearer(iat=int(time.time()) - 60))
            before = await send(gateway, one)
            await gateway.gateway.sessions["app"].end_all("7", why="logout")
            after = await send(gateway, one)
    assert (before.status, after.status) == (200, 401)
