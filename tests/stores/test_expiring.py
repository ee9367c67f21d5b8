"""What has ended is not there any more, and does not stay in memory either."""

from gateway.stores.expiring import Expiring
from tests.factories import NOW, FrozenClock


def test_an_entry_is_there_until_its_end() -> None:
    clock = FrozenClock()
    entries: Expiring[str, int] = Expiring(now=clock)
    entries.put("a", 1, until=NOW + 5)
    assert (entries.get("a"), entries.ends("a")) == (1, NOW + 5)
    clock.advance(5)
    assert (entries.get("a"), entries.ends("a")) == (None, 0)


def test_ended_entries_are_swept_away() -> None:
    clock = FrozenClock()
    entries: Expiring[int, int] = Expiring(now=clock)
    for number in range(5000):
        clock.advance(1)
        entries.put(number, number, until=clock.now + 10)
    assert len(entries) < 1100
