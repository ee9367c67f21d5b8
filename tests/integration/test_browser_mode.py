"""Browser mode in a real browser: what a page's JavaScript can do, and what it never sees."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.factories import SECRET, sign
from tests.integration.fronts import chromium
from tests.servers import Script, Upstreamed, gateway_running, scripted

CONFIG = """
logging: {{access_log: false}}
issuers:
  app:
    signing_key: {secret}
    cookie: {{}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{port}"]}}
routes:
  - {{path: /api, issuers: [app], upstream: app}}
  - {{path: /, auth: none, upstream: app}}
"""

# What a front end does: log in, call, refresh, call, log out, and try once more.
PAGE = """<!doctype html><title>app</title><script>
const told = {};
const post = (path, body) => fetch(path, {
  method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
});
const call = access => fetch('/api/me', {headers: {Authorization: `Bearer ${access}`}});
async function run() {
  const login = await post('/gettoken/', {username: 'alice', password: 'secret'});
  const first = await login.json();
  told.login = [login.status, Object.keys(first)];
  told.call = (await call(first.access)).status;
  const refresh = await post('/refreshtoken/', {});
  const second = await refresh.json();
  told.refresh = [refresh.status, Object.keys(second)];
  told.fresh = (await call(second.access)).status;
  told.readable = document.cookie;
  told.other_site = await fetch(location.href.replace('127.0.0.1', 'localhost')
    .replace('/page', '/refreshtoken/'), {method: 'POST', mode: 'no-cors', credentials: 'include'})
    .then(answer => answer.type, error => String(error));
  told.logout = (await post('/logout/', {})).status;
  told.over = [(await call(second.access)).status, (await post('/refreshtoken/', {})).status];
}
run().catch(error => { told.error = String(error); }).finally(() => post('/told', told));
</script>"""


def app(told: "asyncio.Future[dict[str, Any]]", cookies: list[str]) -> Script:
    """An app with a login, a page, and a place where the page tells how it went."""

    async def script(connection: Upstreamed) -> None:
        while True:
            head = await connection.head()
            lines = head.decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            body = await connection.reader.readexactly(int(fields.get("content-length", 0)))
            cookies.append(fields.get("cookie", ""))
            path = lines[0].split(" ")[1]
            if path == "/told":
                told.set_result(json.loads(body))
            answer, kind = answers(path)
            await connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
                % (kind, len(answer), answer)
            )

    return script


def answers(path: str) -> tuple[bytes, bytes]:
    if path == "/page":
        return PAGE.encode(), b"text/html"
    if path != "/gettoken/":
        return b"{}", b"application/json"
    now = int(time.time())
    common: Mapping[str, Any] = {"iat": now, "user_id": "1"}
    pair = {
        "refresh": sign({"token_type": "refresh", "exp": now + 900, "jti": "r", **common}),
        "access": sign({"token_type": "access", "exp": now + 300, "jti": "a", **common}),
    }
    return json.dumps(pair).encode(), b"application/json"


async def test_a_page_logs_in_refreshes_and_logs_out_without_seeing_the_refresh_token(
    tmp_path: Path,
) -> None:
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    cookies: list[str] = []
    async with scripted(app(told, cookies)) as upstream:
        config = CONFIG.format(secret=SECRET, port=upstream.port)
        async with gateway_running(config, tmp_path) as gateway:
            process = await asyncio.create_subprocess_exec(
                *chromium(f"http://127.0.0.1:{gateway.port}/page", profile=tmp_path / "profile"),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                found = await asyncio.wait_for(told, 60)
            finally:
                process.kill()
                await process.wait()
    assert found == {
        "login": [200, ["access"]],
        "call": 200,
        "refresh": [200, ["access"]],
        "fresh": 200,
        "readable": "",
        "other_site": "opaque",
        "logout": 200,
        "over": [401, 400],
    }
    assert set(cookies) == {""}, "the cookie is sent to the token paths alone"
