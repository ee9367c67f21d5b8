"""`revoke_on`: a success of the app at a listed path ends its bearer's sessions."""

import pytest

from tests.endpoints.conftest import Driving, driving
from tests.endpoints.driving import LOGIN, Asked, Driven, pair, said
from tests.factories import SECRET

CHANGE = "/password/change/"
ISSUER = f"signing_key: {SECRET}, revoke_on: [{{path: {CHANGE}}}]"

__all__ = ["driving"]  # the fixture


def changing(status: int = 204) -> object:
    def app(asked: Asked) -> bytes:
        if asked.target == LOGIN:
            return said(pair())
        return said(b"", status if asked.target.startswith(CHANGE) else 200)

    return app


async def request(gateway: Driven, token: str, path: str = CHANGE, method: str = "POST") -> int:
    heard = await gateway.ask(path, {}, ("authorization", f"Bearer {token}"), method=method)
    return heard.status


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_a_success_ends_all_sessions(driving: Driving, status: int) -> None:
    async with driving(changing(status), issuer=ISSUER) as gateway:
        first, second = [(await gateway.log_in()).said for _ in range(2)]
        other = (await gateway.refresh(pair(user_id="2")["refresh"])).said
        assert await request(gateway, first["access"]) == status
        for tokens in (first, second):
            assert (await gateway.call(tokens["access"])).status == 401
            assert (await gateway.refresh(tokens["refresh"])).status == 401
        assert (await gateway.call(other["access"])).status == 200


async def test_who_logs_in_afterwards_is_let_in(driving: Driving) -> None:
    async with driving(changing(), issuer=ISSUER) as gateway:
        old = (await gateway.log_in()).said
        await request(gateway, old["access"])
        new = (await gateway.log_in()).said
        assert (await gateway.call(new["access"])).status == 200


@pytest.mark.parametrize("status", [302, 400, 403, 500])
async def test_a_failure_ends_nothing(driving: Driving, status: int) -> None:
    async with driving(changing(status), issuer=ISSUER) as gateway:
        own = (await gateway.log_in()).said
        assert await request(gateway, own["access"]) == status
        assert (await gateway.call(own["access"])).status == 200


@pytest.mark.parametrize(
    ("path", "method", "ends"),
    [
        (CHANGE, "GET", False),
        (CHANGE + "more/", "POST", False),
        (CHANGE + "?next=/", "POST", True),
        ("/password%2Fchange/", "POST", True),
        ("/p%61ssword/change/", "POST", True),
    ],
)
async def test_it_is_that_path_and_method(
    driving: Driving, path: str, method: str, ends: bool
) -> None:
    async with driving(lambda _: said({}), issuer=ISSUER) as gateway:
        own = (await gateway.refresh(pair()["refresh"])).said
        assert await request(gateway, own["access"], path, method) == 200
        assert (await gateway.call(own["access"])).status == (401 if ends else 200)


async def test_nobody_but_the_bearer_is_concerned(driving: Driving) -> None:
    async with driving(changing(), issuer=ISSUER) as gateway:
        assert (await gateway.ask(CHANGE, {})).status == 401
        assert len(gateway.store._ledger._not_before) == 0


@pytest.mark.parametrize("body", [b"", b"changed"], ids=["empty", "with a body"])
async def test_an_outage_is_not_the_clients_business(driving: Driving, body: bytes) -> None:
    """The password is changed: that must be told, and this process obeys at once."""
    async with driving(lambda _: said(body), issuer=ISSUER) as gateway:
        own = (await gateway.refresh(pair()["refresh"])).said
        assert await request(gateway, own["access"]) == 200
        assert (await gateway.call(own["access"])).status == 401
