"""Published keys while their server is away or answers nonsense."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.errors import KeysUnavailable
from gateway.tokens import jwks
from tests.factories import (
    NOW,
    issuer,
)
from tests.tokens.key_server import KeyServer, Setting

OUTAGES: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "404": {"status": 404},
    "a redirect": {"status": 302, "location": "http://127.0.0.1:9/elsewhere"},
    "not JSON": {"body": b"<html>"},
    "not a set": {"body": b"[]"},
    "no list": {"body": b'{"keys": {}}'},
    "no keys": {"body": b'{"keys": []}'},
    "no usable keys": {"body": b'{"keys": [7, {"kty": "oct", "k": "AAAA"}]}'},
    "too deep": {"body": b"[" * 100_000},
    "too large": {"body": b" " * (jwks.MAX_SIZE + 1)},
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_good_keys_are_kept_through_an_outage(
    outage: dict[str, Any], setting: Setting
) -> None:
    await setting.source.refresh()
    setting.clock.advance(300)
    vars(setting.server).update(outage)
    await setting.source.refresh()
    assert setting.server.fetches == 2
    assert await setting.decide(setting.token(0, "k0"))
    with pytest.raises(KeysUnavailable):  # the key may be a new one: never a 401
        await setting.decide(setting.token(1, "k1", iat=int(NOW) - 9000))


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_before_the_first_keys_every_token_is_unavailable(
    outage: dict[str, Any], setting: Setting
) -> None:
    vars(setting.server).update(outage)
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as caught:
            await setting.decide(setting.token(0, "k0"))
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1
    assert setting.server.fetches == 1


async def test_a_server_that_is_not_there_is_an_outage(
    server: KeyServer, client: httpx.AsyncClient
) -> None:
    setting = Setting(server, client, jwk_url="http://127.0.0.1:9/jwks")
    with pytest.raises(KeysUnavailable):
        await setting.decide(setting.token(0, "k0"))


async def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(jwks, "TIMEOUT", 0.01)
    async with httpx.AsyncClient(transport=httpx.MockTransport(hang)) as client:
        one = issuer(
            profile="jwt", algorithm="RS256", jwk_url="http://keys.example/", client=client
        )
        assert one.source is not None
        await one.source.refresh()
        assert not one.source.has_keys


async def test_after_an_outage_the_new_keys_come(setting: Setting) -> None:
    setting.server.status = 500
    with pytest.raises(KeysUnavailable):
        await setting.decide(setting.token(0, "k0"))
    setting.server.status = 200
    setting.clock.advance(1)
    assert await setting.decide(setting.token(0, "k0"))
