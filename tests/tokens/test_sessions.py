"""Logins and tokens from before, and the form of what follows from them."""

import asyncio
import hashlib
from collections.abc import Callable

import jwt
import pytest

from gateway.errors import Flaw
from gateway.tokens.verifier import TokenRefused
from tests.endpoints.driving import TakenAway
from tests.factories import (
    CLAIMS,
    OTHER_SECRET,
    SECRET,
    Claims,
    FrozenClock,
    ec_key,
    private_pem,
    rsa_key,
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
