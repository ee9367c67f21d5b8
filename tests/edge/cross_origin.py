"""What the tests of CORS share: a gateway whose routes have `cors`, asked as browsers ask it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.factories import SECRET
from tests.servers import (
    Client,
    RunningGateway,
    Script,
    ScriptedUpstream,
    answering,
    gateway_running,
    scripted,
)

CONFIG = """
server: {{body_timeout: 300ms, max_body_size: 1KiB}}
logging: {{access_log: false}}
issuers:
  app:
    signing_key: {secret}
    endpoints: {{obtain: /api/token/, refresh: /api/refresh/, verify: /verify/, blacklist: null}}
  away: {{jwk_url: "http://127.0.0.1:1/keys", algorithm: RS256, upstream: app, profile: jwt}}
upstreams:
  app:
    servers: ["http://127.0.0.1:{port}"]
    timeouts: {{connect: 300ms, read: 500ms, queue: 200ms}}
    max_connections: 1
  gone: {{servers: ["unix:/nonexistent/socket"]}}
routes:
  - {{path: /own, auth: none, upstream: app}}
  - {{path: /all, auth: none, upstream: app, cors: {{origins: ["*"]}}}}
  - path: /open
    auth: none
    upstream: app
    websocket: true
    cors: &pages
      origins: [https://app.example, "https://APP.example:8443", "null"]
      headers: [Authorization, Content-Type]
      methods: [GET, POST, PATCH]
      expose_headers: [ETag]
      credentials: true
      max_age: 5m
  - {{path: /part, methods: [DELETE], auth: none, upstream: app}}
  - {{path: /part, auth: none, upstream: app, cors: *pages}}
  - {{path: /gone, auth: none, upstream: gone, cors: *pages}}
  - {{path: /away, issuers: [away], upstream: app, cors: *pages}}
  - {{path: /few, auth: none, upstream: app, cors: *pages, rate_limit: {{rate: 1/h, per: ip}}}}
  - {{path: /api, issuers: [app], upstream: app, cors: *pages}}
"""
ORIGIN = "https://app.example"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: x\r\n\r\nok"
OWN = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\n"
    b"access-control-allow-origin: https://own.example\r\n"
    b"Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: X-Own\r\n\r\nok"
)
ALLOWED = {"access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true"}
READABLE = ALLOWED | {
    "access-control-expose-headers": "X-Request-Id, Retry-After, WWW-Authenticate, ETag"
}
PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"

Heard = tuple[int, dict[str, str]]


@contextlib.asynccontextmanager
async def crossed(
    directory: Path, script: Script | None = None
) -> AsyncIterator[tuple[RunningGateway, ScriptedUpstream]]:
    """A gateway before an upstream that knows nothing of CORS, unless it is given a script."""
    async with scripted(script or answering(PLAIN)) as upstream:
        config = CONFIG.format(secret=SECRET, port=upstream.port)
        async with gateway_running(config, directory) as gateway:
            yield gateway, upstream


def request(
    path: str, *fields: str, method: str = "GET", origin: str = ORIGIN, body: bytes = b""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: api.example", *fields]
    lines += [f"Origin: {origin}"] * bool(origin)
    lines += [f"Content-Length: {len(body)}"] * bool(body)
    return "\r\n".join([*lines, "", ""]).encode() + body


def preflight(path: str, method: str, headers: str = "", *, origin: str = ORIGIN) -> bytes:
    fields = [f"Access-Control-Request-Method: {method}"]
    fields += [f"Access-Control-Request-Headers: {headers}"] * bool(headers)
    return request(path, *fields, method="OPTIONS", origin=origin)


async def heard(client: Client) -> Heard:
    """The next answer's status and fields, of which none may stand there twice."""
    first, *lines = (await client.head()).decode("latin-1").split("\r\n")
    fields: dict[str, str] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(": ")
        assert name.lower() not in fields, lines
        fields[name.lower()] = value
    await client.exactly(int(fields.get("content-length", "0")))
    return int(first.split(" ")[1]), fields


async def ask(gateway: RunningGateway, *requests: bytes) -> Heard:
    """The answer to the last of these requests on one connection."""
    client = await gateway.connect()
    try:
        for each in requests:
            await client.send(each)
            answer = await heard(client)
        return answer
    finally:
        await client.close()


def said_of_cors(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name.startswith("access-control-")}
