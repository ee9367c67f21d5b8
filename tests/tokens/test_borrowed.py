"""Sessions whose tokens the upstream alone signs: one spends, all others get what came of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.errors import (
    Flaw,
    KeysUnavailable,
    StoreUnavailable,
    UpstreamError,
)
from gateway.tokens.borrowed import BorrowedSessions
from gateway.tokens.revocation import RevocationView
from gateway.tokens.tally import Tally
from gateway.tokens.verifier import Use
from tests.endpoints.driving import TakenAway
from tests.factories import CLAIMS, NOW, SECRET, FrozenClock, issuer, sign
from tests.tokens.life import flaw_of, is_good

SECOND = int(NOW)


@dataclass(frozen=True)
class Said:
    """An answer of the upstream's."""

    tokens: Mapping[str, str]

    def kept(self) -> bytes:
        return json.dumps(self.tokens).encode()


def read(kept: bytes) -> Said:
    return Said(json.loads(kept))


class Setting:
    """Borrowed sessions over a store that can be taken away; `asked` counts the upstream's work."""

    def __init__(self, *, lease: float = 5.0, **settings: Any) -> None:
        self.clock = FrozenClock()
        self.store = TakenAway(wall=self.clock)
        self.view = RevocationView(
            max_staleness=5, on_outage="deny", is_local=True, monotonic=self.clock, wall=self.clock
        )
        self.store._ledger.sink = self.view
        self.counted: list[str] = []
        self.asked = 0
        self.issuer = issuer(clock=self.clock, verifying_key=SECRET, **settings)
        self.sessions = BorrowedSessions(
            self.issuer,
            self.store,
            view=self.view,
            wall=self.clock,
            tally=Tally(refresh=self.counted.append, revocation=self.counted.append),
            lease=lease,
        )

    async def answer(self) -> Said:
        self.asked += 1
        return Said(pair(f"{self.asked}"))

    async def refresh(
        self, token: str, ask: Callable[[], Awaitable[Said]] | None = None, **more: Any
    ) -> Said:
        return await self.sessions.refresh_at(token, ask=ask or self.answer, read=read, **more)

    def is_good(self, token: str) -> bool:
        return is_good(self.view, self.issuer, token)


def pair(name: str, **more: Any) -> dict[str, str]:
    return {
        kind: sign(
            CLAIMS["simplejwt"](token_type=kind, jti=f"{kind}-{name}", exp=SECOND + 3000, **more)
        )
        for kind in ("access", "refresh")
    }


async def test_the_grace_is_exact_to_the_millisecond() -> None:
    one = Setting()
    token = pair("0")["refresh"]
    first = await one.refresh(token)
    one.clock.now = (int(NOW * 1000) + 10_000) / 1000 + 1e-6
    assert await one.refresh(token) == first
    one.clock.advance(0.001)
    assert await flaw_of(one.refresh(token)) is Flaw.REVOKED
    assert one.asked == 1
    assert one.counted == ["rotated", "replayed", "reuse", "reuse"]
    assert not one.is_good(first.tokens["access"])


async def test_a_session_goes_on_for_generations() -> None:
    one = Setting()
    token = pair("0")["refresh"]
    for _ in range(5):
        token = (await one.refresh(token)).tokens["refresh"]
        one.clock.advance(60)
    assert one.asked == 5


async def test_those_who_wait_get_the_winners_answer() -> None:
    one = Setting()
    gate = asyncio.Event()

    async def slow() -> Said:
        await gate.wait()
        return await one.answer()

    token = pair("0")["refresh"]
    racers = [asyncio.create_task(one.refresh(token, slow)) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*racers)
    assert one.asked == 1
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    "failure",
    [UpstreamError.timeout(), StoreUnavailable(), asyncio.CancelledError()],
    ids=["timeout", "unavailable", "cancelled"],
)
async def test_who_fails_lets_the_next_one_try(failure: BaseException) -> None:
    one = Setting()

    async def failing() -> Said:
        raise failure

    token = pair("0")["refresh"]
    with pytest.raises(type(failure)):
        await one.refresh(token, failing)
    assert (await one.refresh(token)).tokens


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    one = Setting(lease=0.05)
    token = pair("0")["refresh"]
    one.sessions._lease = -0.9  # the patience is a second more
    await one.store.claim(
        one.sessions.key_of(taken := await one.sessions.examine(token, one.sessions.terms.use)),
        "refresh-0",
        one.sessions._presented(taken),
        one.sessions.terms.policy,
        lease=10_000,
    )
    with pytest.raises(UpstreamError) as caught:
        await one.refresh(token)
    assert (caught.value.status, caught.value.reason) == (504, "upstream_timeout")


async def test_a_failure_is_that_of_all_who_asked_for_the_same() -> None:
    one = Setting()
    asked = 0

    async def ask() -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        raise UpstreamError.timeout()

    token = pair("0")["refresh"]
    racers = [one.sessions.refresh_at(token, ask=ask, read=failing) for _ in range(8)]
    failures = await asyncio.gather(*racers, return_exceptions=True)
    assert [type(failure) for failure in failures] == [UpstreamError] * 8
    assert asked == 1
    assert (await one.refresh(token)).tokens, "the claim was given back"


def failing(kept: bytes) -> Any:
    raise AssertionError("nothing is kept")


async def test_a_dead_holders_claim_runs_out() -> None:
    one = Setting()
    token = pair("0")["refresh"]
    taken = await one.sessions.examine(token, one.sessions.terms.use)
    await one.store.claim(
        one.sessions.key_of(taken),
        "refresh-0",
        one.sessions._presented(taken),
        one.sessions.terms.policy,
        lease=6_000,
    )
    one.clock.advance(6.001)
    assert (await one.refresh(token)).tokens


async def test_logout_while_the_upstream_is_asked_ends_what_comes_of_it() -> None:
    one = Setting()
    token = pair("0")["refresh"]

    async def logged_out_meanwhile() -> Said:
        await one.sessions.end(token)
        return await one.answer()

    assert await flaw_of(one.refresh(token, logged_out_meanwhile)) is Flaw.REVOKED
    assert not one.is_good(pair("1")["access"])
    assert await flaw_of(one.refresh(pair("1")["refresh"])) is Flaw.REVOKED


async def test_so_does_the_end_of_all_meanwhile() -> None:
    one = Setting()
    token = pair("0")["refresh"]

    async def all_ended_meanwhile() -> Said:
        await one.sessions.end_all("1", why="test")
        # The upstream's clock goes on: by its date the new token is not concerned.
        one.asked += 1
        return Said(pair("1", iat=SECOND + 2))

    assert await flaw_of(one.refresh(token, all_ended_meanwhile)) is Flaw.REVOKED
    one.clock.advance(3)
    answer = pair("1", iat=SECOND + 2)
    assert not one.is_good(answer["access"])
    assert await flaw_of(one.refresh(answer["refresh"])) is Flaw.REVOKED


async def test_a_kept_answer_opens_to_its_own_token_alone() -> None:
    """Two tokens with one id: the second was never what the answer was sealed for."""
    one = Setting()
    await one.refresh(pair("0")["refresh"])
    forged = sign(
        CLAIMS["simplejwt"](token_type="refresh", jti="refresh-0", exp=SECOND + 3000, x=1)
    )
    with pytest.raises(StoreUnavailable):
        await one.refresh(forged)
    assert one.asked == 1


async def test_the_end_of_all_ends_what_the_upstream_gave() -> None:
    one = Setting()
    answer = await one.refresh(pair("0")["refresh"])
    await one.sessions.end_all("1", why="test")
    assert not one.is_good(answer.tokens["access"])
    assert await flaw_of(one.refresh(answer.tokens["refresh"])) is Flaw.REVOKED


async def test_an_answer_without_tokens_spends_nothing() -> None:
    one = Setting()

    async def refusing() -> Said:
        return Said({})

    token = pair("0")["refresh"]
    assert (await one.refresh(token, refusing)).tokens == {}
    assert (await one.refresh(token)).tokens


@pytest.mark.parametrize("is_good", [True, False], ids=["approved", "disowned"])
async def test_the_user_is_asked_about_with_the_new_token(is_good: bool) -> None:
    one = Setting()
    seen: list[str] = []

    async def approve(access: str) -> bool:
        seen.append(access)
        return is_good

    token = pair("0")["refresh"]
    if is_good:
        assert (await one.refresh(token, approve=approve)).tokens["access"] == seen[0]
        return
    assert await flaw_of(one.refresh(token, approve=approve)) is Flaw.NO_ACCOUNT
    assert not one.is_good(seen[0])
    assert await flaw_of(one.refresh(token)) is Flaw.REVOKED
    assert await flaw_of(one.refresh(pair("1")["refresh"])) is Flaw.REVOKED


async def test_an_upstream_that_can_not_say_now_costs_no_session() -> None:
    one = Setting()
    token = pair("0")["refresh"]

    async def away(access: str) -> bool:
        raise UpstreamError.timeout()

    async def approving(access: str) -> bool:
        return True

    for _ in range(3):
        with pytest.raises(UpstreamError):
            await one.refresh(token, approve=away)
        one.clock.advance(600)
    assert (await one.refresh(token, approve=approving)).tokens == pair("1")
    assert one.asked == 1


async def test_tokens_that_have_no_id_are_told_apart_by_what_they_say() -> None:
    one = Setting(profile="jwt")
    first, second = (
        sign(CLAIMS["jwt"](exp=SECOND + 3000, n=number, token_type="refresh"))
        for number in range(2)
    )
    assert await one.sessions.begin({"refresh": first}) == {"refresh": first}

    async def answer() -> Said:
        one.asked += 1
        return Said({"refresh": second})

    assert await one.refresh(first, answer) == await one.refresh(first, answer)
    assert one.asked == 1
    one.clock.advance(11)
    assert await flaw_of(one.refresh(first, answer)) is Flaw.REVOKED
    assert await flaw_of(one.refresh(second, answer)) is Flaw.REVOKED


async def test_an_upstream_that_takes_longer_than_the_grace_to_say_costs_no_session() -> None:
    one = Setting()
    token = pair("0")["refresh"]

    async def hanging(access: str) -> bool:
        one.clock.advance(60)
        raise UpstreamError.timeout()

    async def approving(access: str) -> bool:
        return True

    with pytest.raises(UpstreamError):
        await one.refresh(token, approve=hanging)
    assert (await one.refresh(token, approve=approving)).tokens == pair("1")
    one.clock.advance(11)
    assert await flaw_of(one.refresh(token, approve=approving)) is Flaw.REVOKED


async def test_keys_that_are_away_cost_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Setting()
    token = pair("0")["refresh"]
    examine = one.sessions.examine

    async def away(text: str, use: Use, **more: Any) -> Any:
        if text != token:
            raise KeysUnavailable(issuer="students", retry_after=1)
        return await examine(text, use, **more)

    with monkeypatch.context() as patched:
        patched.setattr(one.sessions, "examine", away)
        with pytest.raises(KeysUnavailable):
            await one.refresh(token)
    one.clock.advance(60)
    assert (await one.refresh(token)).tokens == pair("1")
    assert one.asked == 1
    await one.refresh(pair("1")["refresh"])
    assert await flaw_of(one.refresh(token)) is Flaw.REVOKED


async def test_what_could_not_be_recorded_is_given_all_the_same() -> None:
    one = Setting()

    async def away_meanwhile() -> Said:
        one.store.is_away = True
        return await one.answer()

    token = pair("0")["refresh"]
    assert (await one.refresh(token, away_meanwhile)).tokens == pair("1")
