"""Rate limits on routes: who is counted, where, and what a refusal says."""

import time
from uuid import uuid4

import pytest

from tests.endpoints.conftest import Driving, driving
from tests.endpoints.driving import SITE, Driven, pair, said
from tests.factories import SECRET, sign

__all__ = ["driving"]  # the fixture

CONFIG = (
    SITE
    + """routes:
  - {{path: /open/, auth: none, upstream: students, rate_limit: {{rate: 2/h, burst: 2, per: ip}}}}
  - {{path: /mixed/, auth: optional, issuers: [students], upstream: students,
     rate_limit: {{rate: 2/h, burst: 2, per: user}}}}
  - {{path: /free/, auth: none, upstream: students}}
  - {{path: /, auth: required, issuers: [students], upstream: students,
     rate_limit: {{rate: 1/h, burst: 2, per: user}}}}
"""
)


def bearer(user: str, **changes: object) -> tuple[str, str]:
    claims = {
        "token_type": "access", "exp": int(time.time()) + 300, "iat": int(time.time()) - 5,
        "jti": uuid4().hex, "user_id": user, **changes,
    }  # fmt: skip
    return ("authorization", f"Bearer {sign(claims)}")


async def asked(
    gateway: Driven, path: str, *headers: tuple[str, str], times: int = 1, peer: str = "192.0.2.1"
) -> list[int]:
    return [
        (await gateway.ask(path, b"", *headers, method="GET", peer=peer)).status
        for _ in range(times)
    ]


async def test_the_refusal_is_in_the_packages_words(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        assert await asked(gateway, "/api/", bearer("1"), times=2) == [200, 200]
        heard = await gateway.ask("/api/", b"", bearer("1"), method="GET")
        wait = heard["retry-after"]
        assert (heard.status, heard.said) == (
            429,
            {"detail": f"Request was throttled. Expected available in {wait} seconds."},
        )
        assert 3590 <= int(wait or 0) <= 3600
        assert heard["x-request-id"] is not None
        assert len(gateway.app.asked) == 2


async def test_a_route_without_issuer_says_it_as_a_problem(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        assert await asked(gateway, "/open/", times=2) == [200, 200]
        heard = await gateway.ask("/open/", b"", method="GET", peer="192.0.2.1")
        assert (heard.status, heard.said["code"]) == (429, "rate_limited")


async def test_users_are_counted_apart_and_by_who_they_are(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        for _ in range(2):  # each time another token, from another address
            assert await asked(gateway, "/a/", bearer("1"), peer=f"192.0.2.{_}") == [200]
        assert await asked(gateway, "/a/", bearer("1")) == [429]
        assert await asked(gateway, "/a/", bearer("2")) == [200]


async def test_anonymous_requests_are_counted_by_address(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        assert await asked(gateway, "/mixed/", times=3) == [200, 200, 429]
        assert await asked(gateway, "/mixed/", peer="192.0.2.2") == [200]
        assert await asked(gateway, "/mixed/", bearer("1")) == [200]


async def test_no_header_makes_another_client(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        statuses = [
            await asked(gateway, "/open/", ("x-forwarded-for", f"198.51.100.{n}")) for n in range(3)
        ]
        assert statuses == [[200], [200], [429]]


async def test_behind_a_trusted_proxy_its_clients_are_counted(driving: Driving) -> None:
    server = "server: {trusted_proxies: [192.0.2.1/32]}"
    async with driving(config=CONFIG, server=server) as gateway:
        one, other = ("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "198.51.100.2")
        assert await asked(gateway, "/open/", one, times=3) == [200, 200, 429]
        assert await asked(gateway, "/open/", other) == [200]


async def test_routes_are_counted_apart(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        assert await asked(gateway, "/open/", times=3) == [200, 200, 429]
        assert await asked(gateway, "/mixed/") == [200]
        assert await asked(gateway, "/free/", times=5) == [200] * 5


async def test_who_is_refused_takes_nothing(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        assert await asked(gateway, "/api/", times=3) == [401, 401, 401]
        assert await asked(gateway, "/api/", bearer("1", exp=1), times=3) == [401] * 3
        assert await asked(gateway, "/api/", bearer("1"), times=2) == [200, 200]


async def test_an_outage_leaves_this_process_counting(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        gateway.store.is_away = True
        assert await asked(gateway, "/open/", times=3) == [200, 200, 429]


async def test_refreshes_and_verifications_are_never_counted(driving: Driving) -> None:
    async with driving(config=CONFIG) as gateway:
        tokens = [pair()["refresh"] for _ in range(5)]
        assert [(await gateway.refresh(token)).status for token in tokens] == [200] * 5


async def test_logins_are_barred_by_address_too(driving: Driving) -> None:
    issuer = f"signing_key: {SECRET}, login_guard: {{failures: 3}}"
    async with driving(lambda _: said({}, 401), config=CONFIG, issuer=issuer) as gateway:
        statuses = [(await gateway.log_in(username=f"user{n}")).status for n in range(4)]
        assert statuses == [401, 401, 401, 429]


@pytest.mark.parametrize("guard", ["login_guard: null", "login_guard: {failures: 5}"])
async def test_the_guard_is_as_configured(driving: Driving, guard: str) -> None:
    issuer = f"signing_key: {SECRET}, {guard}"
    async with driving(lambda _: said({}, 401), config=CONFIG, issuer=issuer) as gateway:
        statuses = [(await gateway.log_in()).status for _ in range(6)]
        assert statuses[-1] == (401 if "null" in guard else 429)
