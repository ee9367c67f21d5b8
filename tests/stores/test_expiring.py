"""What has ended is not there any more, and does not stay in memory either."""

from collections.abc import Callable

import pytest

from gateway.stores.expiring import LOOKS, PORTION, Expiring
from tests.factories import NOW, FrozenClock


class Counted:
    """A key that counts how often a dictionary looks at one of its kind."""

    looks = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        Counted.looks += 1
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counted) and self.number == other.number


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def entries(clock: FrozenClock) -> Expiring[int, int]:
    return Expiring(now=clock)


def test_an_entry_is_there_until_its_end(entries: Expiring[int, int], clock: FrozenClock) -> None:
    entries.put(1, 7, until=NOW + 5)
    assert (entries.get(1), entries.ends(1)) == (7, NOW + 5)
    clock.advance(5)
    assert (entries.get(1), entries.ends(1)) == (None, 0)


def test_an_entry_is_written_anew(entries: Expiring[int, int], clock: FrozenClock) -> None:
    entries.put(1, 7, until=NOW + 5)
    entries.put(1, 8, until=NOW + 9)
    clock.advance(5)
    assert (entries.get(1), entries.ends(1), len(entries)) == (8, NOW + 9, 1)


def test_what_was_taken_out_is_gone_and_may_come_back(entries: Expiring[int, int]) -> None:
    entries.pop(1)
    for value in range(5):
        entries.put(1, value, until=NOW + 5)
        assert entries.get(1) == value
        entries.pop(1)
        assert (entries.get(1), entries.ends(1)) == (None, 0)
    assert len(entries) <= 1


@pytest.mark.parametrize(
    "until",
    [
        lambda number, now: now + 10,
        lambda number, now: now + (1000 if number % 10 else 1),
        lambda number, now: now + (10_000 if number < 500 else 10),
        lambda number, now: now,
    ],
    ids=["alike", "most live long", "the first live long", "over at once"],
)
@pytest.mark.parametrize("keys", [100_000, 700], ids=["each once", "again and again"])
def test_ended_entries_do_not_outnumber_the_living(
    entries: Expiring[int, int],
    clock: FrozenClock,
    until: Callable[[int, float], float],
    keys: int,
) -> None:
    ends: dict[int, float] = {}
    most_alive = 0
    for number in range(6000):
        clock.advance(1)
        key = number % keys
        ends[key] = until(number, clock.now)
        entries.put(key, number, until=ends[key])
        if number % 100 == 0:
            alive = {key: end for key, end in ends.items() if end > clock.now}
            most_alive = max(most_alive, len(alive))
            assert all(entries.ends(key) == end for key, end in alive.items())
            assert len(entries) <= 2 * most_alive + LOOKS


@pytest.mark.parametrize("count", [1000, 30_000])
def test_a_write_looks_at_a_few_entries_however_many_there_are(
    clock: FrozenClock, count: int
) -> None:
    entries: Expiring[Counted, int] = Expiring(now=clock)
    keys = [Counted(number) for number in range(2 * count)]
    most = 0
    for number, key in enumerate(keys):
        if number == count:
            clock.advance(10)  # all so far are over at once
        before = Counted.looks
        entries.put(key, number, until=clock.now + 5)
        most = max(most, Counted.looks - before)
    assert most <= 4 * (LOOKS + 1)
    assert len(entries) <= 1.4 * count
    assert entries.get(keys[-1]) == 2 * count - 1


def test_no_dictionary_holds_them_all(entries: Expiring[int, int]) -> None:
    """One that grows is moved at once: with a million entries that takes 30 ms."""
    for number in range(10_000):
        entries.put(number, number, until=NOW + 5)
    assert max(map(len, entries._parts)) < 10_000 / 50


def test_all_are_told_in_portions_while_others_come_and_go(entries: Expiring[int, int]) -> None:
    lasting = range(20 * PORTION)
    for number in lasting:
        entries.put(number, number, until=NOW + 5)
    told: list[int] = []
    for number, some in enumerate(entries.portions()):
        assert len(some) <= PORTION
        told += [key for key, _ in some]
        entries.put(-number - 1, 0, until=NOW + 5)
        if number:
            entries.pop(-number)
    assert set(lasting) <= set(told)
    assert len(told) == len(set(told))
