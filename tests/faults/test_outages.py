"""Redis freezes, is refused, is silent, is slow: who waits, who is served, who is told what.

Two workers are asked at the same time: one denies API calls when its view is old, one allows them.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Figure
from tests.faults.chains import Chain
from tests.faults.conftest import Run
from tests.faults.figures import ms, quantile
from tests.faults.lines import Line, Lines, Reply, timed, until_status
from tests.faults.relay import relay_to
from tests.faults.tokens import access, calling, ending, first_token, refreshing, successor
from tests.integration.servers import RunningGateway
from tests.redis_servers import RedisServer, redis_server
from tests.stores.recording import until

pytestmark = pytest.mark.alone  # it measures

STALENESS = 2.0  # max_staleness; the log is confirmed every half second
BLOCK = 0.5
TIMEOUT = 0.25  # store.timeout
NOISE = 0.1
LATER = 0.005  # what a refusal may take after the first
ASKED = 200


@dataclass(frozen=True, slots=True)
class Breakable:
    """A store, and what breaks it for a while."""

    url: str
    broken: Callable[[], AbstractContextManager[None]]


@contextlib.contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    server.freeze()
    yield
    server.thaw()


@contextlib.contextmanager
def refused(server: RedisServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@pytest.fixture(params=["frozen", "refused", "black hole", "two seconds late"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Breakable]:
    """A server that knows after a kill what it knew before, with each fault in turn."""
    directory = tmp_path / "lasting"
    directory.mkdir()
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(directory, options=options) as server:
        async with relay_to(server.port) as relay:
            faults = {
                "frozen": Breakable(server.url, partial(frozen, server)),
                "refused": Breakable(server.url, partial(refused, server)),
                "black hole": Breakable(relay.url, relay.swallowing),
                "two seconds late": Breakable(relay.url, partial(relay.slowed, 2.0)),
            }
            yield faults[request.param]


@dataclass
class Watch:
    """One kind of request, asked over and over: when, the answer, and what it took."""

    line: Line
    request: bytes
    seen: list[tuple[float, Reply, float]] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            reply, took = await timed(self.line, self.request)
            self.seen.append((began, reply, took))
            await asyncio.sleep(0.005)

    def statuses(self, since: float = 0.0, until: float = float("inf")) -> set[int]:
        return {reply.status for moment, reply, _ in self.seen if since <= moment < until}


@dataclass
class Worker:
    """One gateway, and what is asked of it."""

    chain: Chain
    ended: str  # the refresh token of a session that is to be ended
    ended_later: str
    asked: Line
    api: Watch
    public: Watch

    @classmethod
    async def open(cls, gateway: RunningGateway, lines: Lines) -> "Worker":
        chain = await Chain.open(lines, [gateway.address])
        reply = await chain.refresh()
        assert reply is not None
        asked = await lines.to(gateway.address)
        first, second = [
            successor(await asked.ask(refreshing(first_token(str(n))))) for n in range(2)
        ]
        api = Watch(await lines.to(gateway.address), calling(access(reply)))
        public = Watch(await lines.to(gateway.address), calling(None, "/open/"))
        return cls(chain, first, second, asked, api, public)

    async def refreshes(self) -> list[float]:
        """What refreshes take, one after another, while all is well."""
        took = []
        for _ in range(ASKED):
            began = time.perf_counter()
            await self.chain.refresh()
            took.append(time.perf_counter() - began)
        return took

    async def refusals(self, request: bytes) -> list[float]:
        """What 503s take, one after another."""
        answers = [await timed(self.asked, request) for _ in range(ASKED)]
        assert all(map(is_unavailable, (reply for reply, _ in answers)))
        return [took for _, took in answers]


async def test_an_outage_of_the_store(store: Breakable, run_workers: Run, figure: Figure) -> None:
    settings = {"max_staleness": f"{STALENESS:g}s", "timeout": f"{TIMEOUT * 1000:g}ms"}
    gateways = await asyncio.to_thread(  # the relay goes on meanwhile
        run_workers,
        store.url,
        *({"store": {**settings, "on_outage": word}} for word in ("deny", "allow")),
    )
    async with Lines() as lines:
        denying, allowing = workers = [await Worker.open(each, lines) for each in gateways]
        baseline = [took for worker in workers for took in await worker.refreshes()]
        watches = [watch for worker in workers for watch in (worker.api, worker.public)]
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        refresh, logout = refreshing(denying.chain.token), ending(allowing.ended)

        with store.broken():
            broke = time.monotonic()
            firsts = await asyncio.gather(
                timed(denying.asked, refresh), timed(allowing.asked, logout)
            )
            later = [took for each in workers for took in await each.refusals(refresh)]
            logouts = [took for each in workers for took in await each.refusals(logout)]
            await until(lambda: time.monotonic() > broke + STALENESS + 1)
        mended = time.monotonic()
        for worker in workers:
            await until_status(worker.asked, refreshing(worker.chain.token), 200)
            await until_status(worker.asked, calling(None, "/open/"), 200)
        await until(lambda: denying.api.seen[-1][1].status == 200)
        back = time.monotonic() - mended
        for worker in workers:
            assert (await worker.asked.ask(ending(worker.ended_later))).status == 200
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    first = max(took for _, took in firsts)
    denied = [moment - broke for moment, reply, _ in denying.api.seen if reply.status == 503]
    allowed = sorted(allowing.api.statuses())
    open_calls = [took for worker in workers for _, _, took in worker.public.seen]
    figure(
        f"first 503 after {ms(first)} (timeout {ms(TIMEOUT)}); then refresh p50 / p90 "
        f"{ms(quantile(later, 0.5))} / {ms(quantile(later, 0.9))}, logout "
        f"{ms(quantile(logouts, 0.5))} / {ms(quantile(logouts, 0.9))}; a refresh when all is "
        f"well {ms(quantile(baseline, 0.5))} / {ms(quantile(baseline, 0.9))}"
    )
    figure(
        f"API calls: deny 503 from {denied[0]:.2f} s on (max_staleness {STALENESS:g} s), allow "
        f"{allowed}; without a token p50 / p99 {ms(quantile(open_calls, 0.5))} / "
        f"{ms(quantile(open_calls, 0.99))}; all well {ms(back)} after the fault"
    )
    assert all(is_unavailable(reply) for reply, _ in firsts)
    assert first < quantile(baseline, 0.9) + TIMEOUT + NOISE
    for each in (later, logouts):
        assert quantile(each, 0.5) < LATER
        assert quantile(each, 0.9) < LATER
    # Calls go on while the view is young, then by on_outage; who has no token never notices.
    assert denying.api.statuses(until=broke + STALENESS - BLOCK - NOISE) == {200}
    # A read that was under way when it broke may still have ended well.
    assert denying.api.statuses(broke + STALENESS + BLOCK + NOISE, mended) == {503}
    assert allowed == [200]
    assert denying.public.statuses() | allowing.public.statuses() == {200}
    assert quantile(open_calls, 0.9) < LATER + quantile(baseline, 0.9)
    assert back < 1 + NOISE
    assert not any(worker.chain.refused for worker in workers)


def is_unavailable(reply: Reply) -> bool:
    return reply.status == 503 and reply.header("retry-after") is not None
