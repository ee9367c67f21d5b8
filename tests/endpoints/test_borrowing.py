"""An issuer that the gateway only verifies: its upstream refreshes, once for all who ask."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from tests.endpoints.conftest import Driving
from tests.endpoints.driving import LOGIN, LOGOUT, LOGOUT_ALL, REFRESH, VERIFY, Asked, pair, said
from tests.factories import OTHER_SECRET, SECRET, FrozenClock

BORROWED = f"verifying_key: {SECRET}"
BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}


class Owner:
    """An app that rotates its own tokens, and refuses one that it has spent."""

    def __init__(self) -> None:
        self.spent: set[str] = set()
        self.status = 200
        self.user_status = 200
        self.key = SECRET
        self.is_rotating = True
        self.breaks = False

    def __call__(self, asked: Asked) -> bytes | None:
        if asked.target == LOGIN:
            return said(pair())
        if asked.target == "/me/":
            return said({}, self.user_status)
        if asked.target != REFRESH:
            return said({"path": asked.target})
        if self.breaks:
            return None
        if self.status != 200:
            return said(b"<h1>sorry</h1>", self.status, content_type="text/html")
        token = json.loads(asked.body)["refresh"]
        if token in self.spent:
            return said(BLACKLISTED, 401, "WWW-Authenticate: Bearer")
        renewed = pair(key=self.key)
        if not self.is_rotating:
            return said({"access": renewed["access"]})
        self.spent.add(token)
        return said(renewed, 200, "X-App: yes")


@pytest.fixture
def owner() -> Owner:
    return Owner()


async def test_a_login_passes_as_it_is(driving: Driving, owner: Owner) -> None:
    tokens = pair()
    async with driving(lambda _: said(tokens), issuer=BORROWED) as gateway:
        heard = await gateway.log_in()
        assert heard.said == tokens
        assert (await gateway.call(tokens["access"])).status == 200


async def test_racers_and_retries_share_one_answer(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        token = pair()["refresh"]
        heard = await asyncio.gather(*(gateway.refresh(token) for _ in range(10)))
        heard.append(await gateway.refresh(token))
        assert {one.status for one in heard} == {200}
        assert len({one.body for one in heard}) == 1
        assert heard[-1]["x-app"] == "yes"
        assert gateway.app.paths() == [REFRESH]
        assert (await gateway.call(heard[0].said["access"])).status == 200
        assert (await gateway.refresh(heard[0].said["refresh"])).status == 200


async def test_no_token_is_kept_in_the_clear(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        heard = await gateway.refresh(pair()["refresh"])
        parts = gateway.store._answers._parts
        [(_, sealed)] = [entry for part in parts for entry in part.values()]
        for token in heard.said.values():
            assert token.encode() not in sealed


async def test_reuse_ends_the_session_and_its_access_tokens(driving: Driving, owner: Owner) -> None:
    clock = FrozenClock(time.time())
    issuer = f"{BORROWED}, refresh_grace: 0s"
    async with driving(owner, issuer=issuer, wall=clock) as gateway:
        login = (await gateway.log_in()).said
        first = (await gateway.refresh(login["refresh"])).said
        second = (await gateway.refresh(first["refresh"])).said
        clock.advance(0.01)
        heard = await gateway.refresh(login["refresh"])
        assert (heard.status, heard.said) == (401, BLACKLISTED)
        for tokens in (login, first, second):
            assert (await gateway.call(tokens["access"])).status == 401
        assert (await gateway.refresh(second["refresh"])).said == BLACKLISTED


async def test_logout_ends_the_access_token_of_the_last_refresh(
    driving: Driving, owner: Owner
) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        login = (await gateway.log_in()).said
        renewed = (await gateway.refresh(login["refresh"])).said
        assert (await gateway.ask(LOGOUT, {"refresh": renewed["refresh"]})).status == 200
        for tokens in (login, renewed):
            assert (await gateway.call(tokens["access"])).status == 401
            assert (await gateway.refresh(tokens["refresh"])).status == 401
            assert (await gateway.ask(VERIFY, {"token": tokens["refresh"]})).status == 400
        assert gateway.app.paths().count(REFRESH) == 1


async def test_an_upstream_that_does_not_rotate_may_be_asked_again(
    driving: Driving, owner: Owner
) -> None:
    owner.is_rotating = False
    clock = FrozenClock(time.time())
    issuer = f"{BORROWED}, refresh_grace: 0s"
    async with driving(owner, issuer=issuer, wall=clock) as gateway:
        token = pair()["refresh"]
        first = await gateway.refresh(token)
        clock.advance(0.01)
        second = await gateway.refresh(token)
        assert (first.status, second.status) == (200, 200)
        assert first.body != second.body


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
async def test_what_the_upstream_refuses_gives_the_token_back(
    driving: Driving, owner: Owner, status: int
) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        token = pair()["refresh"]
        owner.status = status
        heard = await gateway.refresh(token)
        assert (heard.status, heard.body) == (status, b"<h1>sorry</h1>")
        owner.status = 200
        assert (await gateway.refresh(token)).status == 200


async def test_an_upstream_that_breaks_gives_it_back_too(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        token = pair()["refresh"]
        owner.breaks = True
        assert (await gateway.refresh(token)).status == 502
        owner.breaks = False
        assert (await gateway.refresh(token)).status == 200


async def test_racers_share_a_failure_too_each_in_an_answer_of_its_own(
    driving: Driving, owner: Owner
) -> None:
    owner.breaks = True
    async with driving(owner, issuer=BORROWED) as gateway:
        token = pair()["refresh"]
        racers = await asyncio.gather(*(gateway.refresh(token) for _ in range(8)))
        asked = [each for each in gateway.app.asked if each.target == REFRESH]
    assert {heard.status for heard in racers} == {502}
    assert len(asked) == 1
    for heard in racers:
        assert [name for name, _ in heard.headers].count("allow") == 1


async def test_a_token_of_the_upstream_that_is_not_good_is_no_fault_of_the_clients(
    driving: Driving, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    owner.key = OTHER_SECRET
    async with driving(owner, issuer=BORROWED) as gateway:
        heard = await gateway.refresh(pair()["refresh"])
        assert heard.status == 502


async def test_an_outage_before_the_claim_asks_nobody(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        token = pair()["refresh"]
        gateway.store.is_away = True
        heard = await gateway.refresh(token)
        assert (heard.status, heard["retry-after"]) == (503, "1")
        assert gateway.app.asked == []


async def test_an_outage_behind_it_still_gives_the_new_tokens(
    driving: Driving, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:

        def app(asked: Asked) -> bytes | None:
            gateway.store.is_away = True
            return owner(asked)

        gateway.app.answer = app
        heard = await gateway.refresh(pair()["refresh"])
        assert heard.status == 200
        assert "a refresh could not be recorded" in caplog.text
        assert "eyJ" not in caplog.text


@pytest.mark.parametrize("use", ["access", "another key", "another form"])
async def test_what_does_not_verify_is_never_sent_on(
    driving: Driving, owner: Owner, use: str
) -> None:
    bad = {
        "access": pair()["access"],
        "another key": pair(key=OTHER_SECRET)["refresh"],
        "another form": "a.b.c",
    }[use]
    async with driving(owner, issuer=BORROWED) as gateway:
        assert (await gateway.refresh(bad)).status == 401
        assert gateway.app.asked == []


async def test_all_sessions_end_here_too(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=BORROWED) as gateway:
        tokens = (await gateway.refresh(pair()["refresh"])).said
        assert (await gateway.ask(LOGOUT_ALL, {"refresh": tokens["refresh"]})).status == 200
        assert (await gateway.refresh(tokens["refresh"])).said == BLACKLISTED
        assert (await gateway.call(tokens["access"])).status == 401


# check_user

CHECKED = f"{BORROWED}, check_user: /me/"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_disowned_user_is_logged_out(driving: Driving, owner: Owner, status: int) -> None:
    async with driving(owner, issuer=CHECKED) as gateway:
        token = pair()["refresh"]
        owner.user_status = status
        heard = await gateway.refresh(token)
        assert heard.status == 401
        owner.user_status = 200
        assert (await gateway.refresh(token)).said == BLACKLISTED


async def test_who_cant_be_told_about_gets_the_answer_later(driving: Driving, owner: Owner) -> None:
    """The upstream has spent the token by then, so its answer must not be lost."""
    async with driving(owner, issuer=CHECKED) as gateway:
        token = pair()["refresh"]
        owner.user_status = 500
        assert (await gateway.refresh(token)).status == 502
        owner.user_status = 200
        heard = await gateway.refresh(token)
        assert heard.status == 200
        assert (await gateway.refresh(heard.said["refresh"])).status == 200


# Browser mode

COOKIE = f"{BORROWED}, cookie: {{path: /api/token/}}"


def sent(token: str) -> tuple[str, str]:
    return ("cookie", f"sessionid=abc; refresh_token={token}")


async def test_the_cookie_becomes_a_body_for_the_upstream(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=COOKIE) as gateway:
        login = await gateway.log_in()
        assert list(login.said) == ["access"]
        token = login.cookies[0].partition(";")[0].partition("=")[2]
        heard = await gateway.ask(REFRESH, b"", sent(token), ("accept", "text/html"))
        asked = gateway.app.asked[-1]
        assert json.loads(asked.body) == {"refresh": token}
        assert asked.field("content-type") == "application/json"
        assert (asked.field("cookie"), asked.field("accept")) == ("", "")
        assert (heard.status, list(heard.said)) == (200, ["access"])
        [cookie] = heard.cookies
        renewed = cookie.partition(";")[0].partition("=")[2]
        assert renewed.encode() not in heard.body
        retried = await gateway.ask(REFRESH, b"", sent(token))
        assert (retried.body, retried.cookies) == (heard.body, heard.cookies)
        assert (await gateway.ask(REFRESH, b"", sent(renewed))).status == 200


async def test_a_refused_one_is_cleared_and_an_unlucky_one_is_not(
    driving: Driving, owner: Owner
) -> None:
    async with driving(owner, issuer=COOKIE) as gateway:
        token = pair()["refresh"]
        for status, cookies in ((503, 0), (401, 1)):
            owner.status = status
            heard = await gateway.ask(REFRESH, b"", sent(token))
            assert (heard.status, len(heard.cookies)) == (status, cookies)


async def test_body_clients_get_the_upstreams_own_answer(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=COOKIE) as gateway:
        heard = await gateway.refresh(pair()["refresh"])
        assert (list(heard.said), heard.cookies) == (["refresh", "access"], [])


async def test_a_cross_site_page_spends_nothing(driving: Driving, owner: Owner) -> None:
    async with driving(owner, issuer=COOKIE) as gateway:
        origin = ("origin", "https://evil.example")
        heard = await gateway.ask(REFRESH, b"", sent(pair()["refresh"]), origin)
        assert heard.status == 403
        assert gateway.app.asked == []


async def test_no_token_is_logged(
    driving: Driving, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes: list[Any] = []
    async with driving(owner, issuer=COOKIE) as gateway:
        token = pair()["refresh"]
        outcomes.append(await gateway.ask(REFRESH, b"", sent(token)))
        owner.key = OTHER_SECRET
        outcomes.append(await gateway.refresh(pair()["refresh"]))
    assert "eyJ" not in caplog.text
