"""A front end of another origin in a real browser: it can read all that it has to act on."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.factories import private_pem, rsa_key, sign
from tests.integration.fronts import chromium
from tests.integration.servers import RunningApp, RunningGateway
from tests.ports import free_ports
from tests.servers import Script, Upstreamed, scripted

# What a front end does: log in, call, learn that its token is over, refresh, call, log out. Each
# answer is told as the page reads it.
PAGE = """<!doctype html><title>front end</title><script>
const api = 'GATEWAY', told = {}, credentials = 'CREDENTIALS';
const read = async (name, answering) => {
  const answer = await answering;
  const said = await answer.json().catch(() => ({}));
  const field = name => answer.headers.get(name);
  told[name] = [answer.status, said.code ?? null, field('WWW-Authenticate'),
    field('Retry-After') === null ? null : 'later', field('X-Request-Id') !== null];
  return said;
};
const blocked = async (name, answering) => {
  told[name] = await answering.then(answer => answer.status, error => error.name);
};
const post = (path, body) => fetch(api + path, {
  method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
  credentials,
});
const bearer = token => ({Authorization: `Bearer ${token}`});
const call = (path, token, more = {}) => fetch(api + path, {headers: bearer(token), ...more});
async function run() {
  let tokens = await read('login', post('/gettoken/', {username: 'user1', password: '#beta123'}));
  told.names = Object.keys(tokens).sort();
  told.rows = (await read('call', call('/studentapi/', tokens.access))).length > 0;
  await read('expired', call('/studentapi/', 'EXPIRED'));
  const spent = credentials === 'include' ? {} : {refresh: tokens.refresh};
  tokens = await read('refresh', post('/refreshtoken/', spent));
  await read('retry', call('/studentapi/', tokens.access));
  await read('few', call('/few', tokens.access));
  await read('throttled', call('/few', tokens.access));
  await read('no_keys', call('/away', 'FOREIGN'));
  await read('gone', call('/gone', tokens.access));
  await blocked('no_cors', call('/untold', tokens.access));
  await blocked('no_method', call('/studentapi/', tokens.access, {method: 'DELETE'}));
  await blocked('no_header', fetch(api + '/studentapi/', {headers: {'X-Other': '1'}}));
  const last = credentials === 'include' ? {} : {refresh: tokens.refresh};
  await read('wrong', post('/refreshtoken/', {refresh: 'a.b.c'}));
  await read('logout', post('/logout/', last));
  await read('over', call('/studentapi/', tokens.access));
  await read('spent', post('/refreshtoken/', last));
  told.readable = document.cookie;
}
run().catch(error => { told.error = String(error); })
  .finally(() => fetch('/told', {method: 'POST', body: JSON.stringify(told)}));
</script>"""

BEARER = 'Bearer realm="api"'
# Status, code, WWW-Authenticate, Retry-After, X-Request-Id: of an answer of the app, and of ours.
APPS = [200, None, None, None, False]
OURS = [200, None, None, None, True]


def profile(directory: Path) -> Path:
    """A browser's profile that takes cookies of other sites, which headless it would not."""
    path = directory / "profile"
    (path / "Default").mkdir(parents=True)
    preferences = {"profile": {"cookie_controls_mode": 0}}
    (path / "Default" / "Preferences").write_text(json.dumps(preferences))
    return path


def front_end(filled: Mapping[str, str], told: "asyncio.Future[dict[str, Any]]") -> Script:
    """Serves the page with its words filled in, and hears how it went."""

    async def script(connection: Upstreamed) -> None:
        while True:
            head = await connection.head()
            lines = head.decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            body = await connection.reader.readexactly(int(fields.get("content-length", 0)))
            if lines[0].startswith("post /told "):
                told.set_result(json.loads(body))
            page = PAGE if lines[0].startswith("get /page ") else ""
            for word, value in filled.items():
                page = page.replace(word, value)
            answer = page.encode()
            await connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )

    return script


def config(students: RunningApp, origin: str, *, cookie: dict[str, str] | None) -> dict[str, Any]:
    [nobody] = free_ports(1)
    closed = f"http://127.0.0.1:{nobody}"
    cors = {
        "origins": [origin],
        "methods": ["GET", "POST"],
        "headers": ["Authorization", "Content-Type"],
        "credentials": cookie is not None,
    }
    api = {"issuers": ["students"], "upstream": "students"}
    return {
        "issuers": {
            "students": {
                "signing_key": {"file": str(students.secret_file)},
                "upstream": "students",
                "cookie": cookie,
            },
            "away": {"profile": "jwt", "algorithm": "RS256", "jwk_url": f"{closed}/keys"},
        },
        "upstreams": {"students": {"servers": [students.address]}, "gone": {"servers": [closed]}},
        "routes": [
            {"path": "/untold", **api},
            {"path": "/few", **api, "cors": cors, "rate_limit": {"rate": "1/h"}},
            {"path": "/away", **api, "issuers": ["away"], "cors": cors},
            {"path": "/gone", **api, "upstream": "gone", "cors": cors},
            {"path": "/", **api, "cors": cors},  # covers the token paths too
        ],
    }


# The page's host, as the gateway's is 127.0.0.1, and SameSite of the cookie with the refresh token.
MODES = {
    "tokens in JSON": ("localhost", None),
    "a cookie, from the same site": ("127.0.0.1", "strict"),
    "a cookie, from another site": ("localhost", "none"),
}


@pytest.mark.parametrize(("host", "same_site"), MODES.values(), ids=MODES)
async def test_a_page_of_another_origin_logs_in_refreshes_and_logs_out(
    students: RunningApp,
    run_gateway: Callable[..., RunningGateway],
    tmp_path: Path,
    host: str,
    same_site: str | None,
) -> None:
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    is_hidden = same_site is not None
    cookie = {"same_site": same_site} if same_site is not None else None
    now = int(time.time())
    claims = {"iat": now - 600, "jti": "a", "user_id": "1", "token_type": "access"}
    filled = {
        "CREDENTIALS": "include" if is_hidden else "same-origin",
        "EXPIRED": sign({**claims, "exp": now - 300}, students.secret_file.read_text().strip()),
        "FOREIGN": sign({"sub": "1", "exp": now + 300}, private_pem(rsa_key()), "RS256", kid="k"),
    }
    async with scripted(front_end(filled, told)) as front:
        origin = f"http://{host}:{front.port}"
        gateway = run_gateway(config(students, origin, cookie=cookie))
        filled["GATEWAY"] = gateway.address
        process = await asyncio.create_subprocess_exec(
            *chromium(f"{origin}/page", profile=profile(tmp_path)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            found = await asyncio.wait_for(told, 60)
        finally:
            process.kill()
            await process.wait()
    over = [401, "token_not_valid", BEARER, None, True]
    assert found == {
        "login": APPS,
        "names": ["access"] if is_hidden else ["access", "refresh"],
        "call": APPS,
        "rows": True,
        "expired": over,
        "refresh": OURS,
        "retry": APPS,
        "few": [404, *APPS[1:]],
        "throttled": [429, None, None, "later", True],
        "no_keys": [503, "keys_unavailable", None, "later", True],
        "gone": [502, "upstream_refused", None, None, True],
        "no_cors": "TypeError",
        "no_method": "TypeError",
        "no_header": "TypeError",
        "wrong": over,
        "logout": OURS,
        "over": over,
        "spent": [400, *OURS[1:]] if is_hidden else over,  # the cookie was cleared
        "readable": "",
    }
