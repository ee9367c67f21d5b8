"""The cache of verified tokens: exact, bounded, and honest about time."""

from gateway.identity import Identity
from gateway.tokens.cache import VerifiedTokens


def someone(expires_at: float = 100.0) -> Identity:
    return Identity(issuer="students", user_id="1", expires_at=expires_at)


def test_a_token_is_found_by_its_exact_text_alone() -> None:
    cache = VerifiedTokens(capacity=10)
    identity = someone()
    cache.put(b"Bearer a", identity)
    assert cache.get(b"Bearer a", 99.9) is identity
    assert cache.get(b"Bearer  a", 99.9) is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_an_entry_ends_with_its_token() -> None:
    cache = VerifiedTokens(capacity=10)
    cache.put(b"a", someone(expires_at=100.0))
    assert cache.get(b"a", 100.0) is None
    assert cache.get(b"a", 99.0) is None, "it is gone, not asleep"


def test_a_token_without_expiry_stays() -> None:
    cache = VerifiedTokens(capacity=10)
    cache.put(b"a", someone(expires_at=float("inf")))
    assert cache.get(b"a", 1e12) is not None


def test_a_flood_of_tokens_takes_bounded_room() -> None:
    cache = VerifiedTokens(capacity=100)
    for number in range(10_000):
        cache.put(number, someone())
    assert len(cache) <= 100
    assert cache.get(9_999, 0) is not None
    assert cache.get(0, 0) is None


def test_what_is_in_use_outlives_the_flood() -> None:
    cache = VerifiedTokens(capacity=100)
    identity = someone()
    cache.put("mine", identity)
    for number in range(1_000):
        cache.put(number, someone())
        assert cache.get("mine", 0) is identity


def test_clearing_forgets_both_generations() -> None:
    cache = VerifiedTokens(capacity=4)
    for number in range(3):
        cache.put(number, someone())
    cache.clear()
    assert len(cache) == 0
    assert [cache.get(number, 0) for number in range(3)] == [None] * 3


def test_the_repr_shows_no_token() -> None:
    cache = VerifiedTokens(capacity=4)
    cache.put(b"Bearer secret", someone())
    assert repr(cache) == "<VerifiedTokens 1 of 4>"
