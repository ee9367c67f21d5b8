"""Published keys: rotation, floods of unknown kids, and the budget of fetches."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.errors import KeysUnavailable
from gateway.tokens import jwks
from gateway.tokens.jwks import KeysNeeded
from gateway.tokens.verifier import TokenRefused
from tests.factories import (
    NOW,
    ec_key,
    jwk,
    plain_claims,
    private_pem,
    public_pem,
    rsa_key,
    sign,
)
from tests.tokens.key_server import KeyServer, Setting


async def test_the_first_token_brings_the_keys(setting: Setting) -> None:
    assert not setting.source.has_keys
    assert (await setting.decide(setting.token(0, "k0"))).user_id == "u-1"
    assert setting.source.has_keys
    assert setting.server.fetches == 1


async def test_a_token_without_kid_is_tried_with_all_keys(setting: Setting) -> None:
    setting.server.publish(jwk(rsa_key(0), "k0"), jwk(rsa_key(1), "k1"))
    await setting.source.refresh()
    assert await setting.decide(setting.token(1))
    assert setting.server.fetches == 1


async def test_a_kid_binds_a_token_to_that_key(setting: Setting) -> None:
    setting.server.publish(jwk(rsa_key(0), "k0"), jwk(rsa_key(1), "k1"))
    await setting.source.refresh()
    with pytest.raises(TokenRefused):
        await setting.decide(setting.token(1, "k0"))
    assert setting.server.fetches == 1, "a wrong signature is no reason to fetch"


async def test_a_hundred_waiting_requests_share_one_fetch(setting: Setting) -> None:
    setting.server.gate.clear()
    waiting = [
        asyncio.create_task(setting.decide(setting.token(0, "k0", sub=f"u-{n}")))
        for n in range(100)
    ]
    await asyncio.sleep(0)
    setting.server.gate.set()
    found = await asyncio.gather(*waiting)
    assert {identity.user_id for identity in found} == {f"u-{n}" for n in range(100)}
    assert setting.server.fetches == 1


async def test_a_client_that_goes_away_does_not_end_the_fetch(setting: Setting) -> None:
    setting.server.gate.clear()
    gone = asyncio.create_task(setting.decide(setting.token(0, "k0")))
    staying = asyncio.create_task(setting.decide(setting.token(0, "k0")))
    await asyncio.sleep(0)
    gone.cancel()
    setting.server.gate.set()
    assert (await staying).user_id == "u-1"
    assert setting.server.fetches == 1


async def test_rotation_under_load_refuses_no_good_token(setting: Setting) -> None:
    setting.server.publish(jwk(rsa_key(0), "k0"), jwk(rsa_key(9), "constant"))
    await setting.source.refresh()
    refused: list[str] = []
    unavailable = 0
    for second in range(600):
        setting.clock.advance(1)
        epoch = second // 45  # the keys change every 45 seconds
        kid = f"k{epoch}"
        setting.server.publish(jwk(rsa_key(epoch % 3), kid), jwk(rsa_key(9), "constant"))
        for token in (setting.token(epoch % 3, kid), setting.token(9, "constant")):
            try:
                await setting.decide(token)
            except TokenRefused:
                refused.append(kid)
            except KeysUnavailable:
                unavailable += 1
    assert refused == []
    assert unavailable == 0
    assert setting.server.fetches <= 20


async def test_a_second_rotation_within_the_budget_is_503_until_a_fetch_may_be_made(
    setting: Setting,
) -> None:
    await setting.source.refresh()
    setting.clock.advance(2)
    with pytest.raises(TokenRefused):  # fetched for it, and it is not there
        await setting.decide(setting.token(5, "forged"))
    setting.server.publish(jwk(rsa_key(1), "k1"))
    setting.clock.advance(2)
    with pytest.raises(KeysUnavailable) as caught:
        await setting.decide(setting.token(1, "k1"))
    assert (caught.value.status, caught.value.issuer) == (503, "ident")
    assert caught.value.retry_after == 56
    setting.clock.advance(56)
    assert await setting.decide(setting.token(1, "k1"))


async def test_10_000_unknown_kids_cost_two_fetches_a_minute(setting: Setting) -> None:
    await setting.source.refresh()
    good = setting.token(0, "k0")
    template = setting.token(5, "unknown-000000")
    for number in range(10_000):
        if number % 100 == 0:
            setting.clock.advance(1.2)  # two minutes in all
            template = setting.token(5, f"unknown-{number:06}")
        with pytest.raises((TokenRefused, KeysUnavailable)):
            await setting.decide(template)
        if number % 1000 == 0:
            assert await setting.decide(good)
    assert setting.server.fetches <= 5


async def test_a_forged_old_token_is_a_401_also_when_the_budget_is_spent(
    setting: Setting,
) -> None:
    await setting.source.refresh()
    setting.clock.advance(2)
    with pytest.raises(TokenRefused):
        await setting.decide(setting.token(5, "forged"))
    with pytest.raises(TokenRefused):
        await setting.decide(setting.token(5, "other", iat=int(setting.clock.now) - 600))
    assert setting.server.fetches == 2


HOPELESS: dict[str, dict[str, Any]] = {
    "kid with a path": {"kid": "../../etc/passwd"},
    "kid with a line break": {"kid": "a\r\nb"},
    "kid of 300 characters": {"kid": "k" * 300},
    "empty kid": {"kid": ""},
    "expired": {"kid": "new", "exp": int(NOW) - 10},
    "issued in the future": {"kid": "new", "iat": int(NOW) + 100},
    "another issuer": {"kid": "new", "iss": "https://other.example"},
    "no user": {"kid": "new", "sub": ""},
}


@pytest.mark.parametrize("made", HOPELESS.values(), ids=HOPELESS)
async def test_a_token_that_no_key_could_save_asks_for_none(
    made: dict[str, Any], server: KeyServer, client: httpx.AsyncClient
) -> None:
    setting = Setting(server, client, issuer="https://id.example")
    claims = {"iss": "https://id.example", **{k: v for k, v in made.items() if k != "kid"}}
    with pytest.raises(TokenRefused):
        await setting.decide(setting.token(5, made["kid"], **claims))
    assert server.fetches == 0


async def test_a_token_of_another_algorithm_asks_for_no_keys(setting: Setting) -> None:
    with pytest.raises(TokenRefused):
        await setting.decide(sign(plain_claims(), ec_key(), "ES256", kid="new").encode())
    assert setting.server.fetches == 0


async def test_a_key_asked_for_while_a_fetch_runs_is_not_called_absent(
    setting: Setting,
) -> None:
    await setting.source.refresh()
    setting.clock.advance(2)
    setting.server.gate.clear()
    first = asyncio.create_task(setting.source.refresh())
    while setting.server.fetches < 2:
        await asyncio.sleep(0.001)
    setting.server.publish(jwk(rsa_key(1), "k1"))  # the answer under way does not have it
    late = asyncio.create_task(setting.decide(setting.token(1, "k1")))
    await asyncio.sleep(0)
    setting.server.gate.set()
    await first
    with pytest.raises(KeysUnavailable):
        await late


async def test_nothing_overspends_the_budget(setting: Setting) -> None:
    for _ in range(10):
        await setting.source.refresh()
        setting.clock.advance(1)
    assert setting.server.fetches == 2


async def test_a_flood_of_kids_takes_bounded_room(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "MAX_WANTED", 2)
    await setting.source.refresh()
    setting.clock.advance(2)
    setting.server.gate.clear()
    kids = [setting.token(5, f"unknown-{number}") for number in range(5)]
    for token in kids:
        with pytest.raises(KeysNeeded):
            setting.issuer.verifier.verify(token)
    setting.server.gate.set()
    await setting.source.refresh()
    for token in kids[:2]:
        with pytest.raises(TokenRefused):
            setting.issuer.verifier.verify(token)
    for token in kids[2:]:
        with pytest.raises(KeysUnavailable):
            setting.issuer.verifier.verify(token)


async def test_static_keys_and_published_ones_both_verify(
    server: KeyServer, client: httpx.AsyncClient
) -> None:
    setting = Setting(server, client, verifying_key=public_pem(rsa_key(3)))
    assert await setting.decide(setting.token(3, "whatever"))
    assert server.fetches == 0
    assert await setting.decide(setting.token(0, "k0"))


async def test_only_other_keys_are_a_change(setting: Setting) -> None:
    changes: list[bool] = []
    setting.source.on_change(lambda: changes.append(setting.source.has_keys))
    for _ in range(2):
        await setting.source.refresh()
        setting.clock.advance(100)
    assert changes == [True]
    setting.server.publish(jwk(rsa_key(1), "k1"))
    await setting.source.refresh()
    assert changes == [True, True]


async def test_the_keys_are_fetched_at_start_and_kept_fresh(setting: Setting) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        setting.clock.advance(seconds)
        setting.server.status = 500 if len(naps) == 1 else 200
        if len(naps) == 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await setting.source.run(sleep=nap)
    assert naps == [jwks.REFRESH_INTERVAL, jwks.RETRY_INTERVAL, *[jwks.REFRESH_INTERVAL] * 2]
    assert setting.server.fetches == 4


async def test_the_log_and_repr_show_no_url(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting.server.status = 500
    await setting.source.refresh()
    assert "keys of issuer 'ident' can't be fetched: status 500" in caplog.text
    assert setting.server.url not in caplog.text
    assert repr(setting.source) == "<JwksSource ident keys=0 failed=True>"


async def test_signing_keys_of_the_settings_go_with_published_ones(
    server: KeyServer, client: httpx.AsyncClient
) -> None:
    setting = Setting(server, client, signing_key=private_pem(rsa_key(4)))
    assert setting.issuer.keys.signing is not None
    assert await setting.decide(setting.token(4))
