"""How an examination goes where servers misbehave: it ends, and says what it has seen."""

from collections.abc import Iterable
from typing import Any

from gateway.config import Config
from gateway.doctor import Finding, Severity, examine
from tests.servers import Script, Upstreamed, answering, scripted

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: %b\r\n\r\nok"
DATE = b"Thu, 01 Jan 2026 00:00:00 GMT"
DATE_SECONDS = 1_767_225_600.0


def config(*ports: int, **upstream: Any) -> Config:
    servers = [f"http://127.0.0.1:{port}" for port in ports]
    return Config.model_validate(
        {
            "upstreams": {
                "app": {"servers": servers, "timeouts": {"idle": "100ms"}, **upstream},
            },
            "routes": [{"path": "/", "auth": "none", "upstream": "app"}],
        }
    )


def of_check(found: Iterable[Finding], check: str) -> list[Finding]:
    return [finding for finding in found if finding.check == check]


def clock(at: float) -> Any:
    return lambda: at


async def test_every_server_of_an_upstream_is_asked() -> None:
    told: list[str] = []
    async with scripted(answering(PLAIN % DATE)) as one, scripted(answering(PLAIN % DATE)) as two:
        found = await examine(config(one.port, two.port), progress=told.append)
    names = {"upstreams.app.servers[0]", "upstreams.app.servers[1]"}
    assert {finding.subject for finding in of_check(found, "upstream_reachable")} == names
    assert set(told) == {"store", *names}


async def test_only_harmless_requests_are_made() -> None:
    async with scripted(answering(PLAIN % DATE)) as upstream:
        await examine(config(upstream.port))
    assert {head.split(b" ", 1)[0] for head in upstream.heads} == {b"GET"}


async def test_a_server_that_falls_silent_is_told() -> None:
    def until(count: int) -> Script:
        answered = 0

        async def script(connection: Upstreamed) -> None:
            nonlocal answered
            while True:
                await connection.head()
                answered += 1
                if answered > count:
                    connection.reset()
                    return
                await connection.send(PLAIN % DATE)

        return script

    async with scripted(until(3)) as upstream:
        found = await examine(config(upstream.port))
    severities = [finding.severity for finding in of_check(found, "upstream_reachable")]
    assert severities == [Severity.OK, Severity.WARNING]


async def test_what_is_no_http_is_an_error() -> None:
    async with scripted(answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as upstream:
        found = await examine(config(upstream.port))
    (finding,) = of_check(found, "upstream_reachable")
    assert finding.severity is Severity.ERROR


async def test_a_clock_within_its_whole_seconds_is_well() -> None:
    async with scripted(answering(PLAIN % DATE)) as upstream:
        found = await examine(config(upstream.port), wall=clock(DATE_SECONDS + 2.9))
    (finding,) = of_check(found, "clock_skew")
    assert finding.severity is Severity.OK


async def test_a_clock_that_is_ahead_is_told() -> None:
    async with scripted(answering(PLAIN % DATE)) as upstream:
        found = await examine(config(upstream.port), wall=clock(DATE_SECONDS - 10))
    (finding,) = of_check(found, "clock_skew")
    assert finding.severity is Severity.WARNING
    assert finding.evidence == "its clock is 10.0 s ahead of this machine's"


async def test_a_server_without_a_clock_is_unknown() -> None:
    async with scripted(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as upstream:
        found = await examine(config(upstream.port))
    (finding,) = of_check(found, "clock_skew")
    assert finding.evidence.startswith("unknown: ")


async def test_the_name_is_asked_that_the_gateway_would_say() -> None:
    async with scripted(answering(PLAIN % DATE)) as upstream:
        await examine(config(upstream.port, preserve_host=False))
    hosts = {
        line for head in upstream.heads for line in head.lower().split(b"\r\n") if b"host:" in line
    }
    assert b"host: 127.0.0.1:%d" % upstream.port in hosts
    assert b"host: localhost" not in hosts
