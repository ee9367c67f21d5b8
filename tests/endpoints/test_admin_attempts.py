"""How many wrong admin tokens a peer may try, and what the log tells of them."""

import logging

import pytest

from gateway.endpoints.admin.attempts import BURST, EVERY, MOST_PEERS, TOLD_EVERY, Attempts
from tests.factories import FrozenClock

PEER, OTHER = "192.0.2.7", "192.0.2.8"


def tried(attempts: Attempts, number: int, address: str = PEER) -> None:
    for _ in range(number):
        attempts.failed(address)


def test_a_few_are_looked_at_and_then_one_every_few_seconds() -> None:
    clock = FrozenClock()
    attempts = Attempts(clock=clock)
    tried(attempts, BURST - 1)
    assert attempts.wait(PEER) == 0
    tried(attempts, 1)
    assert attempts.wait(PEER) == pytest.approx(EVERY)
    clock.advance(EVERY)
    assert attempts.wait(PEER) == 0
    tried(attempts, 1)
    assert attempts.wait(PEER) == pytest.approx(EVERY)


def test_what_waits_is_no_longer_held_up_by_trying_on() -> None:
    attempts = Attempts(clock=FrozenClock())
    tried(attempts, BURST)
    assert {attempts.wait(PEER) for _ in range(100)} == {EVERY}


def test_a_quiet_minute_gives_all_tries_again() -> None:
    clock = FrozenClock()
    attempts = Attempts(clock=clock)
    tried(attempts, BURST)
    clock.advance(BURST * EVERY)
    tried(attempts, BURST - 1)
    assert attempts.wait(PEER) == 0


def test_a_script_with_an_old_token_bars_nobody() -> None:
    clock = FrozenClock()
    attempts = Attempts(clock=clock)
    for _ in range(1000):
        clock.advance(15)
        tried(attempts, 1)
    assert attempts.wait(PEER) == 0


def test_one_peer_holds_no_other_up() -> None:
    attempts = Attempts(clock=FrozenClock())
    tried(attempts, 10 * BURST)
    assert attempts.wait(OTHER) == 0


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", PEER, True),
    ],
    ids=["one network", "two networks", "an IPv4 address in IPv6's form"],
)
def test_an_ipv6_network_is_one_peer(first: str, second: str, is_one: bool) -> None:
    attempts = Attempts(clock=FrozenClock())
    tried(attempts, BURST, first)
    assert (attempts.wait(second) > 0) == is_one


def test_who_is_remembered_is_bounded_and_the_latest_are() -> None:
    attempts = Attempts(clock=FrozenClock())
    addresses = [f"10.0.{number >> 8}.{number & 255}" for number in range(MOST_PEERS + 100)]
    for address in addresses:
        tried(attempts, BURST, address)
    barred = [address for address in addresses if attempts.wait(address)]
    assert barred == addresses[100:]


def test_the_log_has_one_line_a_minute_for_each_peer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = FrozenClock()
    attempts = Attempts(clock=clock)
    tried(attempts, BURST)
    for _ in range(5):
        attempts.wait(PEER)
    tried(attempts, 1, OTHER)
    clock.advance(TOLD_EVERY)
    tried(attempts, 1)
    assert caplog.messages == [
        f"wrong admin tokens from {PEER}: 1",
        f"wrong admin tokens from {OTHER}: 1",
        f"wrong admin tokens from {PEER}: {BURST - 1 + 5 + 1}",
    ]
