"""Grace, reuse and loss, and what the settings make of them, to the millisecond."""

import pytest

from gateway.errors import Flaw
from gateway.stores import MemoryStore
from tests.factories import (
    CLAIMS,
    NOW,
    sign,
    without,
)
from tests.tokens.life import (
    SECOND,
    SINGLE,
    Begun,
    flaw_of,
    logged_in,
    read,
    refresh_token,
)

# Grace, reuse, loss


@pytest.mark.parametrize(
    ("milliseconds", "is_replayed"), [(9_999, True), (10_000, True), (10_001, False)]
)
async def test_the_parent_is_good_for_the_grace_to_the_millisecond(
    life: Begun, milliseconds: int, is_replayed: bool
) -> None:
    one = life()
    token = refresh_token()
    first = await one.refresh(token)
    one.clock.now = (int(NOW * 1000) + milliseconds) / 1000 + 1e-6
    if is_replayed:
        assert (await one.refresh(token)).refresh == first.refresh
    else:
        assert await one.refused(token) is Flaw.REVOKED
        assert one.counted == ["rotated", "reuse", "reuse"]


async def test_a_grandparent_is_never_replayed(life: Begun) -> None:
    one = life()
    token = refresh_token()
    first = await one.refresh(token)
    await one.refresh(str(first.refresh))
    assert await one.refused(token) is Flaw.REVOKED


async def test_reuse_ends_the_session_with_all_that_came_of_it(life: Begun) -> None:
    one = life()
    pair = await logged_in(one)
    first = await one.refresh(pair["refresh"])
    one.clock.advance(11)
    second = await one.refresh(str(first.refresh))
    assert one.is_good(second.access)
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED
    for access in (pair["access"], first.access, second.access):
        assert not one.is_good(access)
        assert await flaw_of(one.sessions().verify(access)) is Flaw.REVOKED
    for token in (str(first.refresh), str(second.refresh)):
        assert await one.refused(token) is Flaw.REVOKED
        assert await flaw_of(one.sessions().end(token)) is Flaw.REVOKED


async def test_reuse_leaves_the_users_other_sessions(life: Begun) -> None:
    one = life()
    pair, other = await logged_in(one), await logged_in(one)
    await one.refresh(pair["refresh"])
    one.clock.advance(11)
    await one.refused(pair["refresh"])
    assert one.is_good(other["access"])
    await one.refresh(other["refresh"])


async def test_a_session_that_the_store_lost_is_never_resurrected(life: Begun) -> None:
    one = life()
    pair = await logged_in(one)
    one.store = MemoryStore(wall=one.clock)
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED
    assert await flaw_of(one.sessions().verify(pair["refresh"])) is Flaw.REVOKED


async def test_without_a_grace_a_retry_in_the_same_millisecond_is_still_one(life: Begun) -> None:
    one = life(refresh_grace="0s")
    token = refresh_token()
    assert (await one.refresh(token)).refresh == (await one.refresh(token)).refresh
    one.clock.advance(0.01)
    assert await one.refused(token) is Flaw.REVOKED


# Settings


async def test_no_token_outlives_its_session(life: Begun) -> None:
    one = life(session_lifetime="10m", access_token_lifetime="4m")
    pair = await logged_in(one)
    one.clock.advance(7 * 60)
    given = await one.refresh(pair["refresh"])
    assert read(given.access)["exp"] == read(given.refresh)["exp"] == SECOND + 600
    one.clock.now = NOW + 600.001
    assert await one.refused(str(given.refresh)) in (Flaw.REVOKED, Flaw.EXPIRED)
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED


async def test_an_adopted_session_ends_by_its_first_token(life: Begun) -> None:
    one = life(session_lifetime="10m")
    given = await one.refresh(refresh_token(iat=SECOND - 300))
    assert read(given.refresh)["exp"] == SECOND + 300


async def test_without_rotation_the_refresh_token_stays_until_logout(life: Begun) -> None:
    one = life(rotate_refresh_tokens=False)
    pair = await logged_in(one)
    for _ in range(2):
        given = await one.refresh(pair["refresh"])
        assert given.refresh is None
        assert one.is_good(given.access)
        one.clock.advance(60)
    await one.sessions().end(pair["refresh"])
    assert await one.refused(pair["refresh"]) is Flaw.REVOKED
    assert not one.is_good(given.access)


async def test_without_blacklisting_a_rotated_token_can_be_used_again(life: Begun) -> None:
    one = life(blacklist_after_rotation=False)
    token = refresh_token()
    first = await one.refresh(token)
    one.clock.advance(60)
    second = await one.refresh(token)
    assert read(second.refresh)["gen"] == read(first.refresh)["gen"] + 1
    await one.refresh(str(first.refresh))


# Single tokens


@pytest.mark.parametrize("profile", SINGLE)
@pytest.mark.parametrize(
    "is_adopted",
    [False, True],
    ids=["begun here", "adopted"],
)
async def test_a_spent_single_token_is_good_on_the_api_for_the_grace(
    life: Begun, profile: str, is_adopted: bool
) -> None:
    one = life(profile=profile)
    token = sign(CLAIMS[profile]())
    if not is_adopted:
        token = (await one.sessions().begin({"token": token}))["token"]
    given = await one.refresh(token)
    one.clock.advance(9.9)
    assert one.is_good(token)
    one.clock.advance(0.2)
    assert one.is_good(given.access)
    assert not one.is_good(token)


@pytest.mark.parametrize("profile", SINGLE)
async def test_without_blacklisting_a_spent_single_token_stays_good(
    life: Begun, profile: str
) -> None:
    one = life(profile=profile, blacklist_after_rotation=False)
    token = (await one.sessions().begin({"token": sign(CLAIMS[profile]())}))["token"]
    await one.refresh(token)
    one.clock.advance(60)
    assert one.is_good(token)


@pytest.mark.parametrize("profile", SINGLE)
async def test_a_single_token_is_refreshed_within_its_window(life: Begun, profile: str) -> None:
    one = life(profile=profile, refresh_token_lifetime="10m")
    token = sign(CLAIMS[profile](orig_iat=SECOND - 590))
    given = await one.refresh(token)
    one.clock.advance(11)
    assert await one.refused(given.access) is Flaw.REFRESH_EXPIRED
    assert await one.refused(sign(CLAIMS[profile](**without("orig_iat")))) is Flaw.NO_ORIGIN
