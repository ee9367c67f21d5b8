"""The life of sessions: who gets which successors, what ends them, and to the millisecond when."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from gateway.errors import AuthenticationFailed, Flaw, StoreUnavailable
from gateway.stores import MemoryStore
from gateway.tokens.issuer import Issuer
from gateway.tokens.issuing import Refreshed
from gateway.tokens.revocation import RevocationView
from gateway.tokens.sessions import Sessions, Tally
from gateway.tokens.verifier import TokenRefused, Use
from tests.endpoints.driving import TakenAway
from tests.factories import (
    CLAIMS,
    NOW,
    OTHER_SECRET,
    SECRET,
    Claims,
    FrozenClock,
    ec_key,
    issuer,
    private_pem,
    rsa_key,
    sign,
    without,
)

DAY = 86400
SECOND = int(NOW)
SINGLE = ("drf-jwt", "djangorestframework-jwt")


@dataclass
class Life:
    """The sessions of one issuer over one store, and what they count."""

    issuer: Issuer
    store: MemoryStore
    clock: FrozenClock
    view: RevocationView
    counted: list[str] = field(default_factory=list)

    def sessions(self) -> Sessions:
        """As after a restart: all that is remembered is the store's."""
        return Sessions(
            self.issuer,
            self.store,
            view=self.view,
            wall=self.clock,
            tally=Tally(refresh=self.counted.append, revocation=self.counted.append),
        )

    async def refresh(self, token: str) -> Refreshed:
        return await self.sessions().refresh(token)

    async def refused(self, token: str) -> Flaw:
        return await flaw_of(self.refresh(token))

    def is_good(self, token: str) -> bool:
        """Whether the API takes it."""
        try:
            self.view.check(self.issuer.verifier.verify(token.encode()))
        except AuthenticationFailed:
            return False
        return True


async def flaw_of(judged: Any) -> Flaw:
    with pytest.raises(AuthenticationFailed) as caught:
        await judged
    return caught.value.flaw


Begun = Callable[..., Life]


@pytest.fixture
def life() -> Begun:
    def begun(*, store: MemoryStore | None = None, **settings: Any) -> Life:
        clock = FrozenClock()
        kept = store or MemoryStore(wall=clock)
        view = RevocationView(
            max_staleness=5, on_outage="deny", is_local=True, monotonic=clock, wall=clock
        )
        kept._ledger.sink = view
        return Life(issuer(clock=clock, **settings), kept, clock, view)

    return begun


def refresh_token(key: Any = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = CLAIMS["simplejwt"](token_type="refresh", exp=SECOND + DAY, role="teacher", **changes)
    return sign(claims, key, algorithm)


def read(token: str | None) -> Claims:
    assert token is not None
    found: Claims = jwt.decode(token, options={"verify_signature": False})
    return found


async def logged_in(one: Life, **changes: Any) -> dict[str, str]:
    """A login's tokens as the gateway gives them."""
    tokens = {
        "refresh": refresh_token(**changes),
        "access": sign(CLAIMS["simplejwt"](**{"iat": SECOND, **changes})),
    }
    return dict(await one.sessions().begin(tokens))


# Successors


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("HS256", lambda: SECRET),
        ("RS256", lambda: private_pem(rsa_key())),
        ("ES256", lambda: private_pem(ec_key())),
    ],
    ids=["HS256", "RS256", "ES256"],
)
async def test_racers_a_retry_and_a_restart_get_the_very_same_tokens(
    life: Begun, algorithm: str, key: Callable[[], str]
) -> None:
    one = life(algorithm=algorithm, signing_key=key())
    token = refresh_token(key(), algorithm)
    racers = await asyncio.gather(*(one.refresh(token) for _ in range(4)))
    one.clock.advance(3)
    retried = await one.refresh(token)
    assert {(racer.access, racer.refresh) for racer in racers} == {
        (retried.access, retried.refresh)
    }
    assert one.counted == ["rotated", *["replayed"] * 4]


async def test_ps256_signs_anew_the_same_claims(life: Begun) -> None:
    key = private_pem(rsa_key())
    one = life(algorithm="PS256", signing_key=key)
    token = refresh_token(key, "PS256")
    first, second = await one.refresh(token), await one.refresh(token)
    assert first.refresh != second.refresh
    assert read(first.refresh) == read(second.refresh)
    assert read(first.access) == read(second.access)


async def test_each_generation_has_ids_of_its_own(life: Begun) -> None:
    one = life()
    first = await one.refresh(refresh_token())
    second = await one.refresh(str(first.refresh))
    ids = [read(each)["jti"] for each in (first.access, first.refresh, second.access)]
    ids.append(read(second.refresh)["jti"])
    assert len(set(ids)) == 4
    assert [read(each.refresh)["gen"] for each in (first, second)] == [1, 2]


async def test_another_key_derives_other_ids(life: Begun) -> None:
    one, other = life(), life(signing_key=OTHER_SECRET)
    assert (
        read((await one.refresh(refresh_token())).refresh)["jti"]
        != read((await other.refresh(refresh_token(OTHER_SECRET))).refresh)["jti"]
    )


async def test_a_successor_has_the_form_of_its_parent(life: Begun) -> None:
    one = life()
    given = await one.refresh(refresh_token(nested={"a": [1, 2.5, "é"]}))
    renewed, access = read(given.refresh), read(given.access)
    assert list(renewed) == [
        "token_type", "exp", "iat", "jti", "user_id", "role", "nested", "sid", "gen",
    ]  # fmt: skip
    assert list(access) == [
        "token_type", "exp", "iat", "jti", "user_id", "role", "nested", "sid",
    ]  # fmt: skip
    assert renewed["nested"] == access["nested"] == {"a": [1, 2.5, "é"]}
    assert (renewed["iat"], renewed["exp"]) == (SECOND - 2, SECOND + DAY)
    assert (access["iat"], access["exp"]) == (SECOND - 2, SECOND + 300)
    assert one.is_good(given.access)


async def test_the_header_stays_too(life: Begun) -> None:
    one = life()
    token = sign(CLAIMS["simplejwt"](token_type="refresh"), kid="k1")
    given = await one.refresh(token)
    assert jwt.get_unverified_header(given.access) == jwt.get_unverified_header(token)


# Logins


async def test_a_login_keeps_its_claims_and_gets_a_session(life: Begun) -> None:
    one = life()
    before = {"refresh": refresh_token(iat=SECOND), "access": sign(CLAIMS["simplejwt"](role="x"))}
    after = await one.sessions().begin(before)
    assert list(after) == ["refresh", "access"]
    for name, extra in (("refresh", ["sid", "gen"]), ("access", ["sid"])):
        was, now = read(before[name]), read(after[name])
        assert list(now) == [*was, *extra]
        assert now == {**was, "iat": SECOND - 2, **{key: now[key] for key in extra}}
    assert read(after["refresh"])["sid"] == read(after["access"])["sid"]
    assert len(read(after["access"])["sid"]) == 32
    assert read(after["refresh"])["gen"] == 0


@pytest.mark.parametrize("profile", SINGLE)
async def test_a_single_token_keeps_its_form_at_login_and_at_refresh(
    life: Begun, profile: str
) -> None:
    one = life(profile=profile)
    token = sign(CLAIMS[profile](role="x"))
    own = (await one.sessions().begin({"token": token}))["token"]
    assert list(read(own)) == [*read(token), "sid", "gen"]
    given = await one.refresh(own)
    more = ["orig_jti"] if profile == "drf-jwt" else []
    assert sorted(read(given.access)) == sorted([*read(own), *more])
    assert read(given.access)["orig_iat"] == read(token)["orig_iat"]
    assert read(given.access)["exp"] == SECOND + 300
    assert given.refresh is None
    assert one.is_good(given.access)


async def test_each_login_begins_another_session(life: Begun) -> None:
    one = life()
    first, second = await logged_in(one), await logged_in(one)
    assert read(first["access"])["sid"] != read(second["access"])["sid"]


async def test_a_clock_ahead_at_the_upstream_is_borne_at_login(life: Begun) -> None:
    one = life()
    ahead = {"refresh": refresh_token(iat=SECOND + 30), "access": sign(CLAIMS["simplejwt"]())}
    own = await one.sessions().begin(ahead)
    assert read(own["refresh"])["iat"] == SECOND - 2
    await one.refresh(own["refresh"])


async def test_too_far_ahead_is_refused_and_elsewhere_any(life: Begun) -> None:
    one = life()
    token = refresh_token(iat=SECOND + 62)
    assert await flaw_of(one.sessions().begin({"refresh": token})) is Flaw.INVALID
    assert await one.refused(refresh_token(iat=SECOND + 2)) is Flaw.INVALID


async def test_a_login_while_the_store_is_away_keeps_its_tokens_and_is_adopted_later(
    life: Begun,
) -> None:
    store = TakenAway(wall=FrozenClock())
    one = life(store=store)
    store.is_away = True
    tokens = {"refresh": refresh_token(), "access": sign(CLAIMS["simplejwt"]())}
    assert await one.sessions().begin(tokens) == tokens
    store.is_away = False
    assert read((await one.refresh(tokens["refresh"])).refresh)["gen"] == 1


@pytest.mark.parametrize(
    "tokens",
    [
        {"refresh": refresh_token(OTHER_SECRET)},
        {"refresh": sign(CLAIMS["simplejwt"]())},
        {"refresh": refresh_token(), "access": refresh_token()},
        {"refresh": refresh_token(), "access": "a.b.c"},
    ],
    ids=["another key", "an access token for refresh", "a refresh token for access", "no token"],
)
async def test_a_login_whose_tokens_are_not_the_issuers_begins_nothing(
    life: Begun, tokens: dict[str, str]
) -> None:
    one = life()
    with pytest.raises(TokenRefused):
        await one.sessions().begin(tokens)
    assert len(one.store._ledger) == 0


# Tokens from before


@pytest.mark.parametrize(
    ("profile", "claims", "session"),
    [
        ("simplejwt", {"token_type": "refresh", "jti": "j1"}, "j1"),
        ("drf-jwt", {"jti": "j1"}, "j1"),
        ("drf-jwt", {"jti": "j1", "orig_jti": "j0"}, "j0"),
        (
            "djangorestframework-jwt",
            {},
            hashlib.sha256(b"1\n%d" % (SECOND - 60)).hexdigest()[:32],
        ),
    ],
    ids=["simplejwt: jti", "drf-jwt: jti", "drf-jwt: orig_jti", "legacy: user and orig_iat"],
)
async def test_a_token_from_before_is_adopted(
    life: Begun, profile: str, claims: Claims, session: str
) -> None:
    one = life(profile=profile)
    given = await one.refresh(sign(CLAIMS[profile](**claims)))
    newest = given.refresh or given.access
    assert read(newest)["sid"] == session
    assert read(newest)["gen"] == 1
    again = await one.refresh(newest)
    assert read(again.refresh or again.access)["sid"] == session


async def test_drf_jwt_tells_of_the_first_id_as_its_package_does(life: Begun) -> None:
    one = life(profile="drf-jwt")
    given = await one.refresh(sign(CLAIMS["drf-jwt"](jti="first")))
    again = await one.refresh(given.access)
    assert read(again.access)["orig_jti"] == "first"
    assert read(again.access)["jti"] != read(given.access)["jti"] != "first"


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


# Plain JWT


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"token_type": "refresh"}, {}),
        pytest.param(
            {"typ": "Refresh"},
            {},
        ),
        pytest.param(
            {"token_type": "refresh"},
            {"typ": "rt+jwt"},
        ),
    ],
    ids=["token_type", "typ claim", "typ header"],
)
async def test_the_access_tokens_of_plain_jwt_are_good(
    life: Begun, claims: Claims, header: Claims
) -> None:
    one = life(profile="jwt")
    given = await one.refresh(sign(CLAIMS["jwt"](jti="j", **claims), **header))
    assert one.is_good(given.access)
    assert not one.is_good(str(given.refresh))


# Attacks


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({"profile": "djangorestframework-jwt"}, {"orig_iat": 10**400}),
        ({"profile": "drf-jwt"}, {"orig_iat": -(10**400)}),
        (
            {"auth_token_classes": "SlidingToken"},
            {"token_type": "sliding", "refresh_exp": 10**400},
        ),
        ({"session_lifetime": "1h"}, {"token_type": "refresh", "iat": -(10**400)}),
    ],
    ids=["orig_iat", "orig_iat below 0", "refresh_exp", "iat below 0"],
)
async def test_a_number_beyond_all_clocks_is_a_bad_token(
    life: Begun, settings: dict[str, Any], claims: Claims
) -> None:
    profile = settings.get("profile", "simplejwt")
    with pytest.raises(AuthenticationFailed):
        await life(**settings).refresh(sign(CLAIMS[profile](**claims)))


@pytest.mark.parametrize(
    "gen",
    [1.0, 2**53, 10**30, -1, True, False, "0", [0], {}, 0.5],
    ids=repr,
)
async def test_a_generation_that_is_none_is_refused(life: Begun, gen: object) -> None:
    one = life()
    sid = read((await logged_in(one))["access"])["sid"]
    assert await one.refused(refresh_token(sid=sid, gen=gen)) is Flaw.INVALID


@pytest.mark.parametrize(
    "sid",
    ["", "a\r\nb", "a\0", "\u202e", "x" * 256, 1.5, None, True, ["a"], {"a": 1}],
    ids=["empty", "CR LF", "NUL", "bidi", "long", "float", "null", "bool", "list", "object"],
)
async def test_a_session_that_is_no_name_is_refused(life: Begun, sid: object) -> None:
    assert await life().refused(refresh_token(sid=sid, gen=0)) is Flaw.INVALID


@pytest.mark.parametrize("sid", ["{b}:s:x", "a b", "*", "../x", "é" * 200], ids=repr)
async def test_an_odd_name_is_just_a_name(life: Begun, sid: str) -> None:
    assert await life().refused(refresh_token(sid=sid, gen=0)) is Flaw.REVOKED


async def test_a_session_without_a_generation_is_adopted_as_its_own(life: Begun) -> None:
    """An app may write a `sid` of its own: it is no claim to be managed."""
    one = life()
    given = await one.refresh(refresh_token(sid="theirs", jti="its-own"))
    assert (read(given.refresh)["sid"], read(given.refresh)["gen"]) == ("its-own", 1)


async def test_a_session_that_the_app_names_twice_is_no_reuse(life: Begun) -> None:
    one = life()
    first, second = (refresh_token(sid="device", jti=f"j{n}") for n in range(2))
    await one.refresh(first)
    one.clock.advance(11)
    await one.refresh(second)


async def test_the_uses_are_never_mixed(life: Begun) -> None:
    one = life()
    pair = await logged_in(one)
    assert await one.refused(pair["access"]) is Flaw.WRONG_TYPE
    assert await flaw_of(one.sessions().end(pair["access"])) is Flaw.WRONG_TYPE
    assert not one.is_good(pair["refresh"])
    sliding = sign(CLAIMS["simplejwt"](token_type="sliding", refresh_exp=SECOND + DAY))
    assert await one.refused(sliding) is Flaw.WRONG_TYPE
    assert await flaw_of(one.sessions().examine(pair["access"], Use.SLIDING)) is Flaw.WRONG_TYPE


async def test_the_same_claims_signed_anew_are_the_same_token(life: Begun) -> None:
    """Revocation and reuse go by claims, never by the token's text."""
    one = life()
    token = refresh_token()
    await one.refresh(token)
    one.clock.advance(11)
    claims = dict(reversed(read(token).items()))
    assert await one.refused(sign(claims, kid="other")) is Flaw.REVOKED
