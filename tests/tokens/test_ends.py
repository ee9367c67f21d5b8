"""What ends sessions, and what an outage never does."""

import asyncio

import pytest

from gateway.errors import Flaw, StoreUnavailable
from gateway.tokens.issuing import Refreshed
from tests.endpoints.driving import TakenAway
from tests.factories import (
    CLAIMS,
    FrozenClock,
    sign,
)
from tests.tokens.life import (
    DAY,
    SECOND,
    SINGLE,
    Begun,
    flaw_of,
    logged_in,
    read,
    refresh_token,
)

# All of a user


async def test_all_that_a_user_had_ends_and_no_one_elses(life: Begun) -> None:
    one = life()
    pair, other = await logged_in(one), await logged_in(one, user_id="2")
    unseen = refresh_token(jti="b" * 32)
    one.clock.advance(5)
    await one.sessions().end_all("1", why="test")
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED
    assert await one.refused(unseen) is Flaw.REVOKED
    assert not one.is_good(pair["access"])
    assert one.is_good(other["access"])
    await one.refresh(other["refresh"])


async def test_who_logs_in_again_in_the_same_second_is_not_refused(life: Begun) -> None:
    one = life()
    old = await logged_in(one)
    await one.sessions().end_all("1", why="test")
    new = await logged_in(one, jti="c" * 32)
    assert not one.is_good(old["access"])
    assert await one.refused(old["refresh"]) is Flaw.REVOKED
    assert one.is_good(new["access"])
    await one.sessions().verify(new["refresh"])
    one.clock.advance(1)
    assert one.is_good((await one.refresh(new["refresh"])).access)


async def test_nor_are_the_successors_of_that_login(life: Begun) -> None:
    one = life()
    await one.sessions().end_all("1", why="test")
    new = await logged_in(one)
    given = await one.refresh(new["refresh"])
    assert one.is_good(given.access)
    one.clock.advance(1)
    await one.refresh(str(given.refresh))


async def test_a_second_end_in_the_same_second_reaches_that_login_too(life: Begun) -> None:
    one = life()
    await one.sessions().end_all("1", why="test")
    new = await logged_in(one)
    one.clock.advance(0.5)
    await one.sessions().end_all("1", why="test")
    assert not one.is_good(new["access"])
    assert await one.refused(new["refresh"]) is Flaw.REVOKED


@pytest.mark.parametrize("profile", SINGLE)
async def test_nor_who_has_a_single_token(life: Begun, profile: str) -> None:
    one = life(profile=profile)
    claims = CLAIMS[profile](orig_iat=SECOND)
    old = (await one.sessions().begin({"token": sign(claims)}))["token"]
    await one.sessions().end_all("1", why="test")
    new = (await one.sessions().begin({"token": sign(claims)}))["token"]
    assert not one.is_good(old)
    assert await one.refused(old) is Flaw.REVOKED
    assert one.is_good(new)
    one.clock.advance(1)
    assert one.is_good((await one.refresh(new)).access)


@pytest.mark.parametrize("is_adopted", [False, True], ids=["begun here", "adopted"])
async def test_what_has_been_ended_stays_so_where_the_app_gives_longer_lives(
    life: Begun, is_adopted: bool
) -> None:
    one = life(refresh_token_lifetime="1d")
    token = sign({**read(refresh_token()), "exp": SECOND + 30 * DAY})
    if not is_adopted:
        login = {"refresh": token, "access": sign(CLAIMS["simplejwt"]())}
        token = (await one.sessions().begin(login))["refresh"]
    one.clock.advance(5)
    await one.sessions().end_all("1", why="test")
    one.clock.advance(2 * DAY)
    assert await one.refused(token) is Flaw.REVOKED


# Logout


async def test_logout_ends_a_session_once(life: Begun) -> None:
    one = life()
    pair = await logged_in(one)
    await one.sessions().end(pair["refresh"])
    assert await flaw_of(one.sessions().end(pair["refresh"])) is Flaw.REVOKED
    assert not one.is_good(pair["access"])
    assert one.counted == ["logout"]


@pytest.mark.parametrize("is_first", [True, False], ids=["logout first", "refresh first"])
async def test_a_logout_that_races_a_refresh_wins(life: Begun, is_first: bool) -> None:
    one = life()
    pair = await logged_in(one)
    tasks = [one.sessions().end(pair["refresh"]), one.refresh(pair["refresh"])]
    outcomes = await asyncio.gather(*(tasks if is_first else tasks[::-1]), return_exceptions=True)
    for given in outcomes:
        if isinstance(given, Refreshed):
            assert not one.is_good(given.access)
            assert await one.refused(str(given.refresh)) is Flaw.REVOKED
    assert not one.is_good(pair["access"])
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED


@pytest.mark.parametrize("is_first", [True, False], ids=["reuse first", "refresh first"])
async def test_a_reuse_that_races_a_refresh_ends_what_comes_of_it(
    life: Begun, is_first: bool
) -> None:
    one = life()
    old = (await logged_in(one))["refresh"]
    newest = str((await one.refresh(old)).refresh)
    one.clock.advance(11)
    tasks = [one.refresh(old), one.refresh(newest)]
    outcomes = await asyncio.gather(*(tasks if is_first else tasks[::-1]), return_exceptions=True)
    for given in outcomes:
        if isinstance(given, Refreshed):
            assert not one.is_good(given.access)
            assert await one.refused(str(given.refresh)) is Flaw.REVOKED
    assert await one.refused(newest) is Flaw.REVOKED


async def test_a_token_from_before_can_log_out_and_stays_so(life: Begun) -> None:
    one = life()
    token = refresh_token()
    await one.sessions().end(token)
    assert await one.refused(token) is Flaw.REVOKED
    one.clock.advance(DAY - 60)
    assert await one.refused(token) is Flaw.REVOKED


# Outages


@pytest.mark.parametrize("deed", ["refresh", "verify", "end"])
async def test_an_outage_is_never_the_tokens_fault(life: Begun, deed: str) -> None:
    store = TakenAway(wall=FrozenClock())
    one = life(store=store)
    pair = await logged_in(one)
    store.is_away = True
    with pytest.raises(StoreUnavailable) as caught:
        await getattr(one.sessions(), deed)(pair["refresh"])
    assert caught.value.issuer == "students"
    assert one.counted == (["unavailable"] if deed == "refresh" else [])
    await one.sessions().verify(pair["access"])  # the view answers for those
    store.is_away = False
    await one.refresh(pair["refresh"])


# check_user


async def approving(token: str) -> bool:
    return True


async def test_the_upstream_is_asked_with_a_fresh_token_before_anything_is_spent(
    life: Begun,
) -> None:
    one = life()
    pair = await logged_in(one)
    asked: list[str] = []

    async def away(token: str) -> bool:
        asked.append(token)
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        await one.sessions().refresh(pair["refresh"], approve=away)
    one.clock.advance(11)
    given = await one.sessions().refresh(pair["refresh"], approve=approving)
    assert read(given.refresh)["gen"] == 1
    assert one.is_good(asked[0])
    assert read(asked[0])["role"] == "teacher"
    assert read(asked[0])["exp"] == SECOND + 300


async def test_whom_the_upstream_disowns_has_no_session_any_more(life: Begun) -> None:
    one = life()
    pair = await logged_in(one)

    async def refusing(token: str) -> bool:
        return False

    judged = one.sessions().refresh(pair["refresh"], approve=refusing)
    assert await flaw_of(judged) is Flaw.NO_ACCOUNT
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED
    assert not one.is_good(pair["access"])
    assert one.counted[:2] == ["check_user", "invalid"]


async def test_an_outage_at_that_moment_is_in_the_issuers_words(life: Begun) -> None:
    store = TakenAway(wall=FrozenClock())
    one = life(store=store)
    pair = await logged_in(one)

    async def refusing(token: str) -> bool:
        store.is_away = True
        return False

    with pytest.raises(StoreUnavailable) as caught:
        await one.sessions().refresh(pair["refresh"], approve=refusing)
    assert caught.value.issuer == "students"
