"""A gateway whose clock is not the store's: nothing is refused for it, nothing stays alive."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.errors import AuthenticationFailed
from gateway.stores.redis import RedisStore
from gateway.tokens.revocation import RevocationView
from gateway.tokens.sessions import Sessions
from gateway.tokens.tally import Tally
from tests.factories import CLAIMS, issuer, sign
from tests.redis_servers import RedisServer
from tests.stores.recording import MINUTE, until
from tests.tokens.life import is_good

LIFE = 300  # seconds, of an access token


class Gate:
    """One gateway; `ahead` is by how many seconds its clock, and the upstream's, is so."""

    def __init__(self, server: RedisServer, ahead: float) -> None:
        self.ahead = ahead
        self.view = RevocationView(
            max_staleness=5,
            on_outage="deny",
            is_local=False,
            monotonic=time.monotonic,
            wall=self.clock,
        )
        self.issuer = issuer(clock=self.clock)
        self.store = RedisStore.from_url(server.url, retention=5 * MINUTE, wall=self.clock)
        self.sessions = Sessions(
            self.issuer, self.store, view=self.view, wall=self.clock, tally=Tally()
        )

    def clock(self) -> float:
        return time.time() + self.ahead

    async def login(self) -> dict[str, str]:
        now = int(self.clock())
        tokens = {
            kind: sign(CLAIMS["simplejwt"](token_type=kind, jti=kind * 4, iat=now, exp=now + life))
            for kind, life in (("refresh", 86400), ("access", LIFE))
        }
        return dict(await self.sessions.begin(tokens))

    def is_good(self, token: str) -> bool:
        return is_good(self.view, self.issuer, token)


Opened = Callable[[float], contextlib.AbstractAsyncContextManager[Gate]]


@pytest.fixture
def gate(valkey: RedisServer) -> Opened:
    valkey.ask("FLUSHALL")

    @contextlib.asynccontextmanager
    async def opened(ahead: float) -> AsyncIterator[Gate]:
        one = Gate(valkey, ahead)
        await one.store.start(one.view)
        try:
            await until(lambda: one.store.is_up and one.view.is_whole)
            yield one
        finally:
            await one.store.stop()

    return opened


@pytest.mark.parametrize("ahead", [-30, 0, 30])
async def test_tokens_are_good_as_soon_as_they_are_given(gate: Opened, ahead: float) -> None:
    async with gate(ahead) as one:
        login = await one.login()
        assert one.is_good(login["access"])
        given = await one.sessions.refresh(login["refresh"])
        assert one.is_good(given.access)
        assert one.is_good((await one.sessions.refresh(str(given.refresh))).access)


async def test_gateways_whose_clocks_differ_give_one_successor(gate: Opened) -> None:
    async with gate(-1.5) as slow, gate(0) as right, gate(1.5) as fast:
        token = (await right.login())["refresh"]
        for one in (slow, right):
            racers = (each.sessions.refresh(token) for each in (one, slow, right, fast))
            given = await asyncio.gather(*racers)
            assert len({(each.access, each.refresh) for each in given}) == 1
            token = str(given[0].refresh)


@pytest.mark.parametrize("ahead", [-30, 0, 30])
async def test_what_was_revoked_stays_so_until_it_has_expired(gate: Opened, ahead: float) -> None:
    async with gate(ahead) as one:
        login = await one.login()
        given = await one.sessions.refresh(login["refresh"])
        await one.sessions.end(str(given.refresh))
        await until(lambda: not one.is_good(given.access))
        one.ahead += LIFE - 3  # a moment before they expire
        assert not one.is_good(login["access"])
        assert not one.is_good(given.access)


@pytest.mark.parametrize("ahead", [-30, 0, 30])
async def test_the_end_of_all_reaches_what_was_issued_a_moment_ago(
    gate: Opened, ahead: float
) -> None:
    async with gate(0) as right, gate(ahead) as one:
        login = await right.login()
        given = await right.sessions.refresh(login["refresh"])
        await one.sessions.end_all_eventually("1", why="test")
        await until(lambda: not right.is_good(given.access))
        assert not right.is_good(login["access"])
        with pytest.raises(AuthenticationFailed):
            await right.sessions.refresh(str(given.refresh))


@pytest.mark.parametrize("ahead", [-30, 30])
async def test_so_does_one_during_an_outage(
    gate: Opened, valkey: RedisServer, ahead: float
) -> None:
    async with gate(0) as right, gate(ahead) as one:
        login = await right.login()
        valkey.freeze()
        await until(lambda: not (one.store.is_up or right.store.is_up))
        await one.sessions.end_all_eventually("1", why="test")
        assert not one.is_good(login["access"])
        valkey.thaw()
        await until(lambda: not right.is_good(login["access"]))


async def test_ends_that_nobody_follows_do_not_date_the_next_login_ahead(gate: Opened) -> None:
    async with gate(0) as one:
        for _ in range(5):
            await one.sessions.end_all("1", why="test")
        login = await one.login()
        assert one.is_good(login["access"])
        await one.sessions.end_all("1", why="test")
        await until(lambda: not one.is_good(login["access"]))


@pytest.mark.parametrize(("ahead", "words"), [(-2, "2.0 s ahead of"), (2, "2.0 s behind")])
async def test_a_clock_that_is_wrong_is_told(
    gate: Opened, caplog: pytest.LogCaptureFixture, ahead: float, words: str
) -> None:
    async with gate(ahead):
        assert f"the store's clock is {words} this host's" in caplog.text
