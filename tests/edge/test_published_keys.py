"""An issuer's published keys, fetched on the one cold path of a decision."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.config.load import load
from tests.factories import jwk, rsa_key, sign
from tests.servers import Script, Upstreamed, answering, gateway_running, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONFIG = """
issuers:
  idp: {{profile: jwt, algorithm: RS256, jwk_url: "http://127.0.0.1:{keys}/jwks"}}
upstreams:
  app: {{servers: ["http://127.0.0.1:{app}"]}}
routes:
  - {{path: /open, auth: none, upstream: app}}
  - {{path: /, auth: required, issuers: [idp], upstream: app}}
"""


def key_set(*numbers: int) -> bytes:
    body = json.dumps({"keys": [jwk(rsa_key(n), f"k{n}") for n in numbers]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def request(number: int, path: bytes = b"/") -> bytes:
    now = int(time.time())
    claims = {"sub": "u-1", "iat": now, "exp": now + 60}
    token = sign(claims, rsa_key(number), "RS256", kid=f"k{number}")
    head = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %b\r\n\r\n"
    return head % (path, token.encode())


async def test_a_rotated_key_is_fetched_when_its_first_token_comes(tmp_path: Path) -> None:
    async with (
        scripted(answering(key_set(0), key_set(0, 1))) as keys,
        scripted(answering(OK)) as app,
    ):
        config = CONFIG.format(keys=keys.port, app=app.port)
        async with gateway_running(config, tmp_path) as gateway:
            assert (await gateway.exchange(request(0))).endswith(b"ok")
            assert len(keys.heads) == 1
            await asyncio.sleep(1)  # the pause between two fetches
            answers = await asyncio.gather(*(gateway.exchange(request(1)) for _ in range(20)))
            assert all(answer.endswith(b"ok") for answer in answers)
            assert len(keys.heads) == 2


async def silent(connection: Upstreamed) -> None:
    await connection.head()
    await asyncio.sleep(30)


async def failing(connection: Upstreamed) -> None:
    await connection.head()
    await connection.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("script", [silent, failing], ids=["hangs", "fails"])
async def test_without_keys_nobody_is_told_401_and_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    monkeypatch.setattr("gateway.app.gateway.KEYS_AT_START", 0.1)
    monkeypatch.setattr("gateway.tokens.jwks.TIMEOUT", 0.5)
    async with scripted(script) as keys, scripted(answering(OK)) as app:
        config = CONFIG.format(keys=keys.port, app=app.port)
        async with gateway_running(config, tmp_path) as gateway:
            assert (await gateway.exchange(request(0, b"/open"))).endswith(b"ok")
            answer = await gateway.exchange(request(0))
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: " in answer
            assert b'"code":"keys_unavailable"' in answer


@pytest.mark.parametrize(
    ("change", "has_keys"),
    [("leeway: 5s", True), ("algorithm: ES256", False)],
    ids=["same-place", "other-algorithm"],
)
async def test_keys_outlive_a_reload_while_nobody_publishes_them(
    tmp_path: Path, change: str, has_keys: bool
) -> None:
    async with scripted(answering(OK)) as app, scripted(answering(key_set(0))) as keys:
        text = CONFIG.format(keys=keys.port, app=app.port)
        async with gateway_running(text, tmp_path) as running:
            file = tmp_path / "changed.yaml"
            other = text.replace("algorithm: RS256", change)
            if "algorithm" not in change:
                other = text.replace("algorithm: RS256", f"algorithm: RS256, {change}")
            file.write_text(other)
            new = Gateway(load(file, environ={}).config, predecessor=running.gateway)
            source = new._issuers["idp"].source
            assert source is not None
            assert source.has_keys is has_keys
            await new.stop()
