"""What was read once is not read again, and is not held without bound."""

from gateway.known_lines import KnownLines


def test_a_line_is_read_once() -> None:
    read: list[bytes] = []

    def meaning(line: bytes) -> int:
        read.append(line)
        return len(line)

    known = KnownLines(meaning, capacity=1000)
    assert (known.learn(b"abc"), known.young[b"abc"]) == (3, 3)
    assert read == [b"abc"]


def test_a_line_without_a_meaning_is_not_remembered() -> None:
    known: KnownLines[int] = KnownLines(lambda line: None, capacity=1000)
    assert known.learn(b"abc") is None
    assert len(known) == 0


def test_the_memory_is_bounded_and_keeps_what_is_in_use() -> None:
    read: list[bytes] = []

    def meaning(line: bytes) -> int:
        read.append(line)
        return 1

    known = KnownLines(meaning, capacity=50_000)
    for number in range(5_000):
        if b"used" not in known.young:
            known.learn(b"used")
        known.learn(b"%d" % number)
    assert len(known) <= 2 * 50_000 / 400
    assert read.count(b"used") == 1


def test_a_very_long_line_is_not_remembered() -> None:
    known = KnownLines(len, capacity=100_000)
    assert known.learn(b"x" * 5000) == 5000
    assert len(known) == 0
