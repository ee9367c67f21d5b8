"""Rate limits, and the guard of logins: what passes, what is barred, and what is kept of it."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import RateLimited, StoreUnavailable
from gateway.limits import Limiter, LoginGuard, network_of
from gateway.stores.memory import MemoryStore
from tests.factories import FrozenClock

FAILURES = 5
LONGEST = 900.0
ADDRESS = "192.0.2.7"
SOMEWHERE_ELSE = "192.0.2.8"


class WatchedStore(MemoryStore):
    """Remembers under what it was asked to count; can be away; answers late by its `turns`."""

    def __init__(self, clock: FrozenClock, turns: Sequence[int] = (0,)) -> None:
        super().__init__(wall=clock)
        self.names: set[str] = set()
        self.is_away = False
        self._turns: Iterator[int] = cycle(turns)

    async def _ask(self, name: str) -> None:
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable
        self.names.add(name)

    async def take(self, bucket: str, *, rate: float, burst: int) -> float:
        await self._ask(bucket)
        return await super().take(bucket, rate=rate, burst=burst)

    async def failures(self, name: str) -> tuple[int, float]:
        await self._ask(name)
        answer = await super().failures(name)
        await self._ask(name)
        return answer

    async def fail(self, name: str, *, limit: int, window: float, longest: float) -> float:
        await self._ask(name)
        return await super().fail(name, limit=limit, window=window, longest=longest)

    async def forgive(self, name: str) -> None:
        await self._ask(name)
        await super().forgive(name)


class Door:
    """Where logins come in: a guard, and an upstream behind it that counts what reaches it."""

    def __init__(
        self,
        store: MemoryStore,
        *,
        local: MemoryStore | None = None,
        patience: float = 60.0,
        turns: Sequence[int] = (1,),
        failures: int = FAILURES,
    ) -> None:
        self.guard = LoginGuard(
            store=store,
            local=local or MemoryStore(wall=FrozenClock()),
            failures=failures,
            window=300,
            longest=LONGEST,
            issuer="students",
            patience=patience,
        )
        self.asked = 0
        self._turns = cycle(turns)

    async def login(self, *names: str, address: str = ADDRESS, is_good: bool = False) -> int:
        """0 for a login that reached the upstream, else the seconds of Retry-After."""
        try:
            async with self.guard.attempt(names, address) as attempt:
                self.asked += 1
                for _ in range(next(self._turns)):
                    await asyncio.sleep(0)
                await (attempt.succeeded() if is_good else attempt.failed())
        except RateLimited as limited:
            return limited.retry_after or 0
        return 0

    @property
    def is_idle(self) -> bool:
        return not self.guard._gates


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(clock: FrozenClock) -> WatchedStore:
    return WatchedStore(clock)


def a_limiter(store: MemoryStore, clock: FrozenClock) -> Limiter:
    return Limiter(store=store, local=MemoryStore(wall=clock))


async def is_admitted(limiter: Limiter, route: str = "/api/", who: str = "u") -> bool:
    try:
        await limiter.admit(route, 0.5, 3, who, issuer="students")
    except RateLimited as limited:
        return limited.retry_after != 2
    return True


async def test_a_burst_passes_and_then_what_the_rate_allows(
    store: WatchedStore, clock: FrozenClock
) -> None:
    limiter = a_limiter(store, clock)
    assert [await is_admitted(limiter) for _ in range(5)] == [True] * 3 + [False] * 2
    clock.advance(2.001)
    assert [await is_admitted(limiter) for _ in range(2)] == [True, False]


async def test_the_time_to_wait_is_rounded_up(store: WatchedStore, clock: FrozenClock) -> None:
    limiter = a_limiter(store, clock)
    await limiter.admit("/", 100.0, 1, "u", issuer="students")
    with pytest.raises(RateLimited) as limited:
        await limiter.admit("/", 100.0, 1, "u", issuer="students")
    assert (limited.value.retry_after, limited.value.issuer) == (1, "students")


async def test_routes_and_people_are_limited_apart(store: WatchedStore, clock: FrozenClock) -> None:
    limiter = a_limiter(store, clock)
    while await is_admitted(limiter, "/a", "bc"):
        pass
    assert await is_admitted(limiter, "/ab", "c")
    assert await is_admitted(limiter, "/a", "c")
    assert await is_admitted(limiter, "/a", "\ud800")


async def test_an_outage_is_limited_by_this_process_alone(
    store: WatchedStore, clock: FrozenClock
) -> None:
    limiter = a_limiter(store, clock)
    while await is_admitted(limiter):
        pass
    store.is_away = True
    assert [await is_admitted(limiter) for _ in range(4)] == [True] * 3 + [False]


async def test_no_name_address_or_route_is_written_to_the_store(
    store: WatchedStore, clock: FrozenClock
) -> None:
    await is_admitted(a_limiter(store, clock), "/api/", "anna")
    door = Door(store)
    await door.login("anna", "x" * 100_000)
    await door.login("anna", is_good=True)
    assert len(store.names) == 4, "a bucket, two names, an address"
    assert all(len(name) == 32 and int(name, 16) for name in store.names)


@pytest.mark.parametrize("by", ["name", "address"])
async def test_failures_bar_the_name_and_the_address(store: WatchedStore, by: str) -> None:
    door = Door(store)
    for number in range(FAILURES):
        if by == "name":
            assert await door.login("anna", address=f"192.0.2.{number}") == 0
        else:
            assert await door.login(f"user {number}") == 0
    asked = door.asked
    if by == "name":
        assert await door.login("anna", address="192.0.2.200", is_good=True) > 0
        assert await door.login("berta", address="192.0.2.200", is_good=True) == 0
    else:
        assert await door.login("berta", is_good=True) > 0
        assert await door.login("berta", address=SOMEWHERE_ELSE, is_good=True) == 0
    assert door.asked == asked + 1
    assert door.is_idle


async def test_each_denied_attempt_bars_for_longer(store: WatchedStore) -> None:
    door = Door(store)
    for _ in range(FAILURES):
        await door.login("anna")
    waits = [await door.login("anna", address=SOMEWHERE_ELSE) for _ in range(16)]
    assert waits == sorted(waits)
    assert waits[1] > waits[0]
    assert waits[-1] == LONGEST
    assert door.asked == FAILURES


async def test_a_denied_attempt_is_held_against_what_is_barred_alone(store: WatchedStore) -> None:
    door = Door(store)
    for _ in range(FAILURES):
        await door.login("anna")
    for _ in range(2 * FAILURES):
        await door.login("anna", address=SOMEWHERE_ELSE)
    assert await door.login("berta", address=SOMEWHERE_ELSE, is_good=True) == 0


async def test_after_the_bar_one_attempt_goes_ahead_at_a_time(
    store: WatchedStore, clock: FrozenClock
) -> None:
    door = Door(store)
    for _ in range(FAILURES):
        await door.login("anna")
    clock.advance(await door.login("anna") + 1)
    answers = await asyncio.gather(*(door.login("anna") for _ in range(8)))
    assert [wait > 0 for wait in answers] == [False] + [True] * 7
    assert door.is_idle


async def test_success_forgives_the_name_but_not_the_address(store: WatchedStore) -> None:
    door = Door(store)
    for _ in range(FAILURES - 1):
        await door.login("anna")
    assert await door.login("anna", is_good=True) == 0
    assert await door.login("anna", address=SOMEWHERE_ELSE) == 0
    assert await door.login("anna", address=SOMEWHERE_ELSE, is_good=True) == 0
    assert await door.login("berta") == 0
    assert await door.login("berta", is_good=True) > 0, "the address failed too often"


async def test_an_upstream_that_breaks_counts_nothing(store: WatchedStore) -> None:
    door = Door(store)
    for _ in range(2 * FAILURES):
        with pytest.raises(OSError, match="broken"):
            async with door.guard.attempt(["anna"], ADDRESS):
                raise OSError("broken")
    assert await door.login("anna") == 0
    assert door.is_idle


@pytest.mark.parametrize(
    "spelling",
    ["ANNA", " anna\t", "ａｎｎａ", "aNNa\u00a0"],
    ids=["case", "spaces", "full width", "no-break space"],
)
async def test_spellings_of_a_name_are_counted_together(store: WatchedStore, spelling: str) -> None:
    door = Door(store)
    for number in range(FAILURES):
        await door.login("anna" if number % 2 else spelling, address=f"192.0.2.{number}")
    assert await door.login(spelling, address="192.0.2.200") > 0
    assert await door.login("anne", address="192.0.2.200") == 0


@pytest.mark.parametrize("names", [(), ("",), (" ", "\u3000")], ids=["none", "empty", "blank"])
async def test_without_a_name_the_address_is_counted(
    store: WatchedStore, names: tuple[str, ...]
) -> None:
    door = Door(store)
    for _ in range(FAILURES):
        await door.login(*names)
    assert await door.login(*names) > 0
    assert await door.login(*names, address=SOMEWHERE_ELSE) == 0


async def test_a_name_said_twice_fails_once(store: WatchedStore) -> None:
    door = Door(store)
    for number in range(FAILURES - 1):
        await door.login("anna", "Anna", address=f"192.0.2.{number}")
    assert await door.login("anna", address=SOMEWHERE_ELSE, is_good=True) == 0


@pytest.mark.parametrize("failed_before", [0, FAILURES - 1])
async def test_many_good_logins_at_once_all_pass(store: WatchedStore, failed_before: int) -> None:
    door = Door(store, turns=(3, 1, 2))
    for _ in range(failed_before):
        await door.login("anna")
    answers = await asyncio.gather(*(door.login("anna", is_good=True) for _ in range(64)))
    assert answers == [0] * 64
    assert door.is_idle


turns = st.lists(st.integers(0, 4), min_size=1, max_size=7)


@given(
    store_turns=turns,
    upstream_turns=turns,
    failures=st.integers(1, 6),
    guesses=st.lists(st.sampled_from(["anna", "berta"]), min_size=1, max_size=40),
    is_one_address=st.booleans(),
)
@settings(max_examples=150, deadline=None)
async def test_guesses_at_once_pass_no_more_often_than_one_by_one(
    store_turns: list[int],
    upstream_turns: list[int],
    failures: int,
    guesses: list[str],
    is_one_address: bool,
) -> None:
    store = WatchedStore(FrozenClock(), store_turns)
    door = Door(store, turns=upstream_turns, failures=failures)
    answers = await asyncio.gather(
        *(
            door.login(name, address=ADDRESS if is_one_address else f"192.0.2.{number}")
            for number, name in enumerate(guesses)
        )
    )
    passed = [name for name, wait in zip(guesses, answers, strict=True) if wait == 0]
    assert max(passed.count("anna"), passed.count("berta")) <= failures
    if is_one_address:
        assert len(passed) == min(len(guesses), failures)
    else:
        assert len(passed) == sum(min(guesses.count(n), failures) for n in ("anna", "berta"))
    assert door.is_idle


async def test_processes_that_share_a_store_let_pass_no_more_than_each_alone(
    clock: FrozenClock,
) -> None:
    store = WatchedStore(clock, (1, 3, 0, 2))
    doors = [Door(store, turns=(2, 1)) for _ in range(3)]
    await asyncio.gather(*(door.login("anna") for _ in range(20) for door in doors))
    assert sum(door.asked for door in doors) <= FAILURES * len(doors)
    assert all(door.asked <= FAILURES for door in doors)
    assert await doors[0].login("anna") > 0


async def test_names_in_any_order_do_not_wait_for_each_other(store: WatchedStore) -> None:
    door = Door(store, failures=1, turns=(2, 1, 3))
    pairs = [("anna", "berta"), ("berta", "anna"), ("berta", "carla"), ("carla", "anna")] * 4
    logins = (door.login(*pair, is_good=True, address=pair[0]) for pair in pairs)
    assert await asyncio.gather(*logins) == [0] * len(pairs)
    assert door.is_idle


async def test_waiting_for_others_is_bounded(store: WatchedStore) -> None:
    door = Door(store, failures=1, patience=0)
    async with door.guard.attempt(["anna"], ADDRESS):
        assert await door.login("anna", address=SOMEWHERE_ELSE) == 1
        assert await door.login("berta", address=ADDRESS) == 1
        assert await door.login("berta", address=SOMEWHERE_ELSE) == 0
    assert door.asked == 1
    assert door.is_idle


async def test_a_client_that_goes_away_gives_its_place_back(clock: FrozenClock) -> None:
    door = Door(WatchedStore(clock, (1,)), failures=1, turns=(50,))
    logins = [asyncio.create_task(door.login("anna", is_good=True)) for _ in range(12)]
    for login in logins[:-1]:
        await asyncio.sleep(0)
        login.cancel()
    assert await logins[-1] == 0
    assert all(
        isinstance(end, BaseException)
        for end in await asyncio.gather(*logins[:-1], return_exceptions=True)
    )
    assert door.is_idle


async def test_an_outage_is_counted_by_this_process_alone(
    store: WatchedStore, clock: FrozenClock
) -> None:
    door = Door(store, local=MemoryStore(wall=clock))
    store.is_away = True
    for _ in range(FAILURES):
        assert await door.login("anna") == 0
    assert await door.login("anna", address=SOMEWHERE_ELSE) > 0
    assert await door.login("berta", address=ADDRESS) > 0
    assert door.asked == FAILURES


async def test_success_forgives_what_an_outage_counted(
    store: WatchedStore, clock: FrozenClock
) -> None:
    door = Door(store, local=MemoryStore(wall=clock))
    store.is_away = True
    for number in range(FAILURES - 1):
        await door.login("anna", address=f"192.0.2.{number}")
    assert await door.login("anna", is_good=True) == 0
    assert await door.login("anna", address="192.0.2.100") == 0
    assert await door.login("anna", address="192.0.2.101", is_good=True) == 0


async def test_the_repr_names_nobody(store: WatchedStore) -> None:
    door = Door(store)
    async with door.guard.attempt(["anna"], ADDRESS):
        assert repr(door.guard) == "<LoginGuard students 2 names and addresses in flight>"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_an_ipv6_client_is_counted_by_its_network(address: str, counted: str) -> None:
    assert network_of(address) == counted
