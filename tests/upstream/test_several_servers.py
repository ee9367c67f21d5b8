"""An upstream of several servers: whichever of them fails, requests are answered if they can be."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gateway.config import UpstreamConfig
from gateway.errors import UpstreamError
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import Exchange
from gateway.upstream.pool import Upstream
from gateway.upstream.retrying import RetryBudget
from gateway.upstream.waiting import Waiters
from tests.ports import free_port
from tests.servers import Upstreamed, answering, scripted
from tests.upstream.servers import GET, POST, REQUEST, Ask, ask, ports_of, reason_of, running

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SICK = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, and waits for the other side's end."""
    await reader.read()
    writer.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


class TestRefused:
    @pytest.mark.parametrize("asking", [GET, POST], ids=["GET", "POST"])
    async def test_another_server_is_asked_whatever_the_request(self, asking: Ask) -> None:
        async with scripted(answering(OK)) as app:
            gone = free_port()
            async with running([gone, app.port], load_balancing="round_robin") as upstream:
                for _ in range(10):
                    server, status = await ask(upstream, asking)
                    assert (server.address.port, status) == (app.port, 200)
                assert [server.health.is_well for server in upstream.servers] == [False, True]
                assert upstream.budget.spent == 1  # from then on it was let be

    async def test_without_retries_it_is_told(self) -> None:
        async with (
            scripted(answering(OK)) as app,
            running([free_port(), app.port], retries=0) as upstream,
        ):
            reasons = Counter([await reason_of(upstream) for _ in range(10)])
            assert reasons == {"": 9, "upstream_refused": 1}

    async def test_where_all_are_down_all_are_asked(self) -> None:
        port = free_port()
        async with running([port, free_port()]) as upstream:
            for _ in range(5):
                assert await reason_of(upstream) == "upstream_refused"
            listener = await asyncio.start_server(listening, "127.0.0.1", port)
            connection = await upstream.connect(GET)
            assert [server.health.is_well for server in upstream.servers] == [True, False]
            connection.abort()
            listener.close()

    async def test_it_is_asked_again_after_a_while(self) -> None:
        async with scripted(answering(OK)) as app:
            port = free_port()
            async with running([port, app.port], load_balancing="round_robin") as upstream:
                await ask(upstream)
                await ask(upstream)
                gone, _ = upstream.servers.present
                assert not gone.health.is_well
                upstream.sweep(asyncio.get_running_loop().time() + 1.01)
                assert gone.health.is_well


class TestCircuit:
    async def test_a_server_that_fails_is_left_alone_then_tried_and_asked_again(self) -> None:
        answers = [SICK] * 3 + [OK] * 100
        async with scripted(answering(*answers)) as app:
            breaker = {"failures": 3, "window": "10s", "open_for": "1s"}
            async with running(
                [app.port], circuit_breaker=breaker, timeouts={"idle": "30s"}
            ) as upstream:
                assert [(await ask(upstream))[1] for _ in range(3)] == [503] * 3
                with pytest.raises(UpstreamError) as refused:
                    await ask(upstream)
                assert (refused.value.status, refused.value.reason) == (503, "no_healthy_upstream")
                assert refused.value.retry_after == 1
                assert len(app.heads) == 3
                await until(lambda: upstream.servers.is_any_usable)
                assert [(await ask(upstream))[1] for _ in range(3)] == [200] * 3

    async def test_the_others_are_asked_meanwhile(self) -> None:
        async with scripted(answering(SICK)) as sick, scripted(answering(OK)) as well:
            breaker = {"failures": 2, "window": "10s", "open_for": "60s"}
            async with running(
                [sick.port, well.port], circuit_breaker=breaker, load_balancing="round_robin"
            ) as upstream:
                statuses = Counter([(await ask(upstream))[1] for _ in range(40)])
            assert statuses == {200: 38, 503: 2}

    async def test_half_open_lets_one_request_through(self) -> None:
        hold = asyncio.Event()

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.send(SICK)
            await connection.head()
            await hold.wait()
            await connection.send(OK)

        breaker = {"failures": 1, "window": "10s", "open_for": "10ms"}
        async with (
            scripted(script) as app,
            running([app.port], circuit_breaker=breaker, timeouts={"idle": "30s"}) as upstream,
        ):
            await ask(upstream)
            await until(lambda: upstream.servers.is_any_usable)
            first = asyncio.create_task(ask(upstream))
            await until(lambda: len(app.heads) == 2)
            assert await reason_of(upstream) == "no_healthy_upstream"
            hold.set()
            assert (await first)[1] == 200
            assert upstream.servers.is_any_usable

    @pytest.mark.parametrize("ends", ["left-while-dialling", "left-while-waiting", "websocket"])
    async def test_a_try_without_an_outcome_is_made_again(self, ends: str) -> None:
        hold = asyncio.Event()

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.send(SICK)
            await connection.head()
            await hold.wait()

        breaker = {"failures": 1, "window": "10s", "open_for": "10ms"}
        timeouts = {"idle": "10ms" if ends == "left-while-dialling" else "30s"}
        async with (
            scripted(script) as app,
            running([app.port], circuit_breaker=breaker, timeouts=timeouts) as upstream,
        ):
            await ask(upstream)
            (server,) = upstream.servers.present
            if ends == "left-while-dialling":
                await until(lambda: not server.idle)

                async def never(loop: object) -> UpstreamConnection:
                    await asyncio.sleep(30)
                    raise AssertionError

                server._open = never  # type: ignore[method-assign]
            await until(lambda: upstream.servers.is_any_usable)
            if ends == "websocket":
                connection = upstream.take(GET)
                assert connection is not None
                exchange = Exchange(asyncio.get_running_loop(), is_sent=True)
                connection.begin(exchange, REQUEST, is_head=False, is_whole=True)
                assert not upstream.servers.is_any_usable
                detached = connection.detach(exchange)
                assert detached is not None
                detached[0].abort()
            else:
                asked = asyncio.create_task(ask(upstream))
                await until(lambda: not upstream.servers.is_any_usable)
                await asyncio.sleep(0.01)
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
            assert upstream.servers.is_any_usable


class TestHealthChecks:
    async def test_a_server_is_taken_out_and_brought_back(self) -> None:
        state = {"status": b"503 Sick"}

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % state["status"])

        check = {"path": "/healthz", "interval": "20ms", "unhealthy": 2, "host": "app.example"}
        async with (
            scripted(script) as sick,
            scripted(answering(OK)) as well,
            running([sick.port, well.port], health_check=check) as upstream,
        ):
            first, second = upstream.servers.present
            await until(lambda: not first.health.is_well)
            assert second.health.is_well
            assert {(await ask(upstream))[0] for _ in range(10)} == {second}
            state["status"] = b"204 Well"
            await until(lambda: first.health.is_well)
            asked = sick.heads[0].split(b"\r\n")
            assert asked[:2] == [b"GET /healthz HTTP/1.1", b"Host: app.example"]

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 302 Found\r\n\r\n", b"x" * 20_000])
    async def test_what_is_no_success_is_a_failure(self, answer: bytes) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await connection.send(answer)

        check = {"path": "/", "interval": "10ms", "unhealthy": 1}
        async with scripted(script) as app, running([app.port], health_check=check) as upstream:
            (server,) = upstream.servers.present
            await until(lambda: not server.health.is_well)

    async def test_silence_is_a_failure(self) -> None:
        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await asyncio.sleep(30)

        check = {"path": "/", "interval": "10ms", "timeout": "20ms", "unhealthy": 1}
        async with scripted(script) as app, running([app.port], health_check=check) as upstream:
            (server,) = upstream.servers.present
            await until(lambda: not server.health.is_well)


class TestQueue:
    async def test_it_is_bounded_and_refuses_at_once(self) -> None:
        async with (
            scripted(answering(OK)) as app,
            running(
                [app.port], max_connections=1, max_pending_requests=2, timeouts={"queue": "30s"}
            ) as upstream,
        ):
            held = await upstream.connect(GET)
            waiting = [asyncio.create_task(ask(upstream)) for _ in range(2)]
            await until(lambda: len(upstream.waiters) == 2)
            assert await reason_of(upstream) == "upstream_saturated"
            held.abort()
            assert [status for _, status in await asyncio.gather(*waiting)] == [200, 200]

    async def test_who_is_signed_in_goes_first(self) -> None:
        anonymous = Ask(is_urgent=False)
        async with (
            scripted(answering(OK)) as app,
            running(
                [app.port], max_connections=1, max_pending_requests=3, timeouts={"queue": "30s"}
            ) as upstream,
        ):
            served: list[str] = []

            async def asking(name: str, how: Ask) -> None:
                reason = await reason_of(upstream, how)
                served.append(f"{name} {reason}".strip())

            held = await upstream.connect(GET)
            tasks = []
            for name, how in [("a", anonymous), ("b", anonymous), ("U", GET), ("V", GET)]:
                tasks.append(asyncio.create_task(asking(name, how)))
                await asyncio.sleep(0.01)
            assert served == ["b upstream_saturated"]  # its place was needed
            held.abort()
            await asyncio.gather(*tasks)
            assert served[1:] == ["U", "V", "a"]

    async def test_a_stop_sends_them_away(self) -> None:
        async with (
            scripted(answering(OK)) as app,
            running([app.port], max_connections=1, timeouts={"queue": "30s"}) as upstream,
        ):
            await upstream.connect(GET)
            waiting = asyncio.create_task(reason_of(upstream))
            await until(lambda: len(upstream.waiters) == 1)
            await upstream.stop()
            assert await waiting == "upstream_refused"
            assert len(app.connections) == 1

    async def test_a_server_that_comes_back_serves_who_waits(self) -> None:
        async with (
            scripted(answering(OK)) as one,
            scripted(answering(OK)) as two,
            running([one.port, two.port], max_connections=1, timeouts={"queue": "30s"}) as upstream,
        ):
            _, second = upstream.servers.present
            second.health.not_connected(asyncio.get_running_loop().time())
            await upstream.connect(GET)
            server, status = await ask(upstream)
            assert (server, status) == (second, 200)

    def test_an_empty_queue_takes_nobody(self) -> None:
        with pytest.raises(UpstreamError):
            Waiters(0).join(is_urgent=True)


class TestAdaptiveConcurrency:
    async def test_more_than_the_limit_is_refused_at_once(self) -> None:
        hold = asyncio.Event()

        async def script(connection: Upstreamed) -> None:
            await connection.head()
            await hold.wait()
            await connection.send(OK)

        limit = {"initial": 4, "min": 4}
        async with (
            scripted(script) as app,
            running([app.port], adaptive_concurrency=limit) as upstream,
        ):
            taken = [asyncio.create_task(ask(upstream)) for _ in range(4)]
            await until(lambda: len(app.heads) == 4)
            assert await reason_of(upstream) == "upstream_overloaded"
            hold.set()
            await asyncio.gather(*taken)
            assert await reason_of(upstream) == ""


class TestNames:
    @pytest.fixture
    async def names(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
        """What names stand for: no name server runs here."""
        known: dict[str, list[str]] = {}

        async def getaddrinfo(loop: Any, host: str, port: int, **_: Any) -> list[Any]:
            if host not in known:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            return [(socket.AF_INET, 1, 6, "", (ip, port)) for ip in known[host]]

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(type(loop), "getaddrinfo", getaddrinfo, raising=False)
        return known

    def named(self, port: int) -> Upstream:
        settings = {"servers": [f"http://app:{port}"], "resolve_interval": "10ms"}
        return Upstream("u", UpstreamConfig.model_validate(settings))

    async def test_each_address_is_a_server_and_they_come_and_go(
        self, names: dict[str, list[str]]
    ) -> None:
        names["app"] = ["127.0.0.1", "127.0.0.2"]
        async with scripted(answering(OK)) as app:
            upstream = self.named(app.port)
            upstream.start()
            await until(lambda: len(upstream.servers.present) == 2)
            assert [server.name for server in upstream.servers.present] == [
                f"http://127.0.0.1:{app.port}",
                f"http://127.0.0.2:{app.port}",
            ]
            first, second = upstream.servers.present
            held = await first.dial()
            names["app"] = ["127.0.0.2", "127.0.0.3"]
            await until(lambda: first not in upstream.servers.present)
            assert upstream.servers.present[0] is second
            assert first in upstream.servers  # until it has done what it has
            held.abort()
            await until(lambda: first not in upstream.servers)
            await upstream.stop()

    async def test_a_name_that_is_lost_keeps_what_it_stood_for(
        self, names: dict[str, list[str]], caplog: pytest.LogCaptureFixture
    ) -> None:
        names["app"] = ["127.0.0.1"]
        async with scripted(answering(OK)) as app:
            upstream = self.named(app.port)
            upstream.start()
            await until(lambda: upstream.servers.present[0].ip is not None)
            del names["app"]
            await until(lambda: "app can't be looked up" in caplog.text)
            assert (await ask(upstream))[1] == 200
            await upstream.stop()

    async def test_localhost_is_left_to_the_system(self) -> None:
        settings = UpstreamConfig.model_validate({"servers": ["http://localhost:1"]})
        upstream = Upstream("u", settings)
        upstream.start()
        assert len(upstream._tasks) == 1  # the sweeper alone
        await upstream.stop()


def test_retries_are_a_part_of_the_requests() -> None:
    budget = RetryBudget()
    assert sum(budget.spend() for _ in range(100)) == 10
    budget.earn(100, 0.0)
    assert sum(budget.spend() for _ in range(100)) == 20
    budget.earn(0, 3.0)
    assert sum(budget.spend() for _ in range(100)) == 3
    assert budget.spent == 33


async def test_what_was_known_of_the_servers_outlives_a_reload() -> None:
    async with scripted(answering(OK)) as app:
        gone = free_port()
        async with running([gone, app.port]) as before:
            await ask(before)
            settings = before._settings
            after = Upstream("u", settings, predecessor=before)
            assert ports_of([s for s in after.servers if s.health.is_well]) == [app.port]
