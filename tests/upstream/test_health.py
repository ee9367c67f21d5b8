"""When a server is asked and when not, by what connections, checks and answers have shown."""

import logging

import pytest

from gateway.config import CircuitBreakerConfig, HealthCheckConfig
from gateway.upstream.circuit import Circuit, CircuitBreaker
from gateway.upstream.health import Health

CHECK = HealthCheckConfig.model_validate({"path": "/", "healthy": 2, "unhealthy": 3})
BREAKER = CircuitBreakerConfig.model_validate({"failures": 3, "window": "10s", "open_for": "5s"})


def health(**settings: object) -> Health:
    given = {"breaker": None, "check": None, "slow_start": 10.0, **settings}
    return Health("http://app:8000", **given)  # type: ignore[arg-type]


class TestEjection:
    def test_each_in_a_row_takes_twice_as_long(self) -> None:
        server = health()
        now = 100.0
        lasted: list[float] = []
        for _ in range(8):
            server.not_connected(now)
            assert not server.is_well
            start = now
            while not server.is_well:
                now += 0.5
                server.tick(now)
            lasted.append(now - start)
        assert lasted == [1, 2, 4, 8, 16, 30, 30, 30]

    def test_failures_while_it_lasts_do_not_prolong_it(self) -> None:
        server = health()
        for now in (0.0, 0.1, 0.2, 0.9):
            server.not_connected(now)
        server.tick(1.0)
        assert server.is_well

    def test_a_connection_ends_it_and_the_row(self) -> None:
        server = health()
        server.not_connected(0.0)
        server.connected(0.1)
        assert server.is_well
        server.not_connected(0.2)
        server.tick(1.2)
        assert server.is_well

    def test_it_is_up_again_once_it_was_reached(self) -> None:
        server = health()
        server.not_connected(0.0)
        server.tick(1.0)
        assert (server.is_well, server.is_up) == (True, False)
        server.connected(1.1)
        assert server.is_up

    def test_it_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        server = health()
        with caplog.at_level(logging.INFO):
            for now in range(20):
                server.not_connected(float(now))
                server.tick(float(now))
            server.connected(20.0)
        assert caplog.messages == [
            "http://app:8000 accepts no connection",
            "http://app:8000 accepts connections again",
        ]


class TestSlowStart:
    def test_the_share_grows_after_a_return(self) -> None:
        server = health()
        assert server.share(0.0) == 1
        server.not_connected(0.0)
        server.tick(1.0)
        assert [server.share(now) for now in (1.0, 3.0, 6.0, 10.9)] == [0.1, 0.2, 0.5, 0.99]
        assert server.share(11.0) == 1
        assert server.share(5.0) == 1  # it is over

    def test_it_can_be_left_out(self) -> None:
        server = health(slow_start=0.0)
        server.not_connected(0.0)
        server.tick(1.0)
        assert server.share(1.0) == 1


class TestChecks:
    def test_it_takes_so_many_in_a_row(self) -> None:
        server = health(check=CHECK)
        outcomes = [False, False, True, False, False, False]
        seen = []
        for outcome in outcomes:
            server.checked(outcome, 0.0)
            seen.append(server.is_well)
        assert seen == [True, True, True, True, True, False]
        seen = []
        for outcome in (True, False, True, True):
            server.checked(outcome, 0.0)
            seen.append(server.is_well)
        assert seen == [False, False, False, True]

    def test_one_that_passes_ends_an_ejection(self) -> None:
        server = health(check=CHECK)
        server.not_connected(0.0)
        server.checked(True, 0.1)
        assert server.is_well

    def test_without_a_check_nothing_is_made_of_one(self) -> None:
        server = health()
        for _ in range(10):
            server.checked(False, 0.0)
        assert server.is_well


class TestCircuit:
    def test_so_many_failures_in_the_window_open_it(self) -> None:
        breaker = CircuitBreaker(BREAKER)
        for now in (0.0, 6.0, 12.0):  # never three within ten seconds
            breaker.failed(now)
        assert breaker.allows
        breaker.failed(13.0)
        assert (breaker.allows, breaker.state) == (False, Circuit.OPEN)
        assert breaker.retry_in(14.0) == 4

    def test_it_is_tried_once_and_closed_by_a_success(self) -> None:
        server = health(breaker=BREAKER)
        for _ in range(3):
            server.failed(0.0)
        assert (server.may_be_asked, server.is_up) == (False, False)
        server.tick(4.9)
        assert not server.may_be_asked
        server.tick(5.0)
        assert server.may_be_asked
        server.asked()
        assert not server.may_be_asked
        server.answered(200, 5.1)
        assert server.may_be_asked
        assert server.share(5.1) < 1

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_a_failure_opens_it_again(self, status: int) -> None:
        server = health(breaker=BREAKER)
        for _ in range(3):
            server.answered(status, 0.0)
        server.tick(5.0)
        server.asked()
        server.answered(status, 5.1)
        server.tick(10.0)
        assert not server.may_be_asked
        server.tick(10.1)
        assert server.may_be_asked

    def test_an_error_of_the_application_is_none_of_the_server(self) -> None:
        server = health(breaker=BREAKER)
        for _ in range(10):
            server.answered(500, 0.0)
        assert server.may_be_asked

    def test_a_client_that_leaves_frees_the_try(self) -> None:
        server = health(breaker=BREAKER)
        for _ in range(3):
            server.failed(0.0)
        server.tick(5.0)
        server.asked()
        server.given_up()
        assert server.may_be_asked


def test_what_was_known_outlives_a_reload() -> None:
    before = health(check=CHECK, breaker=BREAKER)
    for _ in range(3):
        before.not_connected(0.0)
        before.checked(False, 0.0)
    after = health(check=CHECK, breaker=BREAKER)
    after.inherit(before)
    assert (after.is_well, after.may_be_asked) == (False, False)
    without = health()
    without.inherit(before)
    without.tick(1.0)
    assert (without.is_well, without.may_be_asked) == (True, True)
