"""Event streams under auth_request.conf: nginx holds no event back, and who feels a logout."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from examples.processes import Processes
from tests.integration.auth_request_conf import Site, start
from tests.integration.exchange import ask, authorization, head
from tests.integration.live.servers import Live, start_live

PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Stream:
    """An event stream, each of whose events the app sends when it is asked for."""

    live: Live
    reader: asyncio.StreamReader

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.reader.readuntil(text)

    async def ask_for_one(self) -> None:
        await asyncio.to_thread(ask, self.live.app_address, "GET", "/next/")

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@dataclass(frozen=True, slots=True)
class Events:
    site: Site
    live: Live

    @asynccontextmanager
    async def open(self, path: str, token: str) -> AsyncIterator[Stream]:
        host, _, port = self.site.address.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(head("GET", path, headers=[authorization(f"Bearer {token}")]))
            stream = Stream(self.live, reader)
            await stream.until(b"200 OK\r\n")
            yield stream
        finally:
            writer.close()


@pytest.fixture(scope="module")
def events(children: Processes, tmp_path_factory: pytest.TempPathFactory) -> Events:
    directory = tmp_path_factory.mktemp("streams")
    live = start_live(
        "uvicorn", directory=directory, children=children, trusted_proxies=["127.0.0.1/32"]
    )
    site = start(live.gateway, app=live.app_address, directory=directory, children=children)
    return Events(site, live)


@pytest.mark.parametrize(
    ("path", "passes_gateway"), [("/events/", True), ("/feed/", False)], ids=["gateway", "nginx"]
)
async def test_each_event_arrives_when_it_is_sent(
    events: Events, path: str, passes_gateway: bool
) -> None:
    token = events.live.log_in()["access"]
    async with events.open(path, token) as stream:
        await stream.until(b"data: 1\n\n")
        for number in (2, 3):
            await stream.ask_for_one()
            await stream.until(b"data: %d\n\n" % number)
        open_there = await asyncio.to_thread(
            events.site.gateway.metric, "gateway_inflight_requests"
        )
        assert open_there == passes_gateway
    assert events.site.call(path).status == 401


async def test_one_that_passes_the_gateway_ends_with_its_session(events: Events) -> None:
    pair = events.live.log_in()
    async with events.open("/events/", pair["access"]) as stream:
        await stream.until(b"data: 1\n\n")
        await asyncio.to_thread(events.live.log_out, pair)
        assert b"data: 2" not in await stream.rest()


async def test_one_that_nginx_moves_goes_on_when_its_session_has_ended(events: Events) -> None:
    pair = events.live.log_in()
    async with events.open("/feed/", pair["access"]) as stream:
        await stream.until(b"data: 1\n\n")
        await asyncio.to_thread(events.live.log_out, pair)
        refused = await asyncio.to_thread(events.site.call, "/other/", token=pair["access"])
        assert refused.status == 401
        await stream.ask_for_one()
        await stream.until(b"data: 2\n\n")
