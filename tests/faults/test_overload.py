"""Three times what a real Gunicorn can do: what is answered in time, what is refused, and after."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conftest import Figure
from tests.factories import SECRET, sign, simplejwt_claims
from tests.faults.figures import ms, quantile
from tests.faults.lines import Line
from tests.integration.servers import RunningEcho, RunningGateway

pytestmark = pytest.mark.alone  # it measures

WORKERS, NAP = 4, 0.04  # Gunicorn's sync workers, and seconds of an answer
CAPACITY = WORKERS / NAP  # a second, at most
PATIENCE = 0.5  # seconds after which an answer is of no use any more
REQUEST = b"GET /nap/40/ HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


@dataclass
class Wave:
    """What came of requests that were sent at a rate, whether or not others were answered."""

    took: list[float] = field(default_factory=list)  # seconds, of answers in time
    refused: list[float] = field(default_factory=list)  # … of 503s with Retry-After
    late: int = 0
    other: list[int] = field(default_factory=list)


class Senders:
    """Sends on lines that are kept; opens more where all are taken."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._free: list[Line] = []

    async def send(self, rate: float, seconds: float, request: bytes) -> Wave:
        wave, start = Wave(), time.perf_counter()
        tasks = []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(start + number / rate - time.perf_counter())
            tasks.append(asyncio.create_task(self._one(wave, request)))
        await asyncio.gather(*tasks)
        return wave

    async def _one(self, wave: Wave, request: bytes) -> None:
        line = self._free.pop() if self._free else await Line.open(self._address)
        began = time.perf_counter()
        reply = await line.ask(request)
        took = time.perf_counter() - began
        if reply.status == 503 and reply.header("retry-after"):
            wave.refused.append(took)
        elif reply.status != 200:
            wave.other.append(reply.status)
        elif took <= PATIENCE:
            wave.took.append(took)
        else:
            wave.late += 1
        self._free.append(line)

    async def close(self) -> None:
        for line in self._free:
            await line.close()


async def test_under_three_times_the_load_as_much_is_answered_as_ever(
    run_echo: Callable[..., RunningEcho],
    run_gateway: Callable[[dict[str, Any]], RunningGateway],
    figure: Figure,
) -> None:
    server = run_echo(workers=WORKERS, threads=1)
    gateway = run_gateway(
        {
            "logging": {"access_log": False},
            "issuers": {"students": {"signing_key": SECRET}},
            "upstreams": {"app": {"servers": [server.address], "adaptive_concurrency": {}}},
            "routes": [
                {"path": "/", "auth": "optional", "issuers": ["students"], "upstream": "app"}
            ],
        }
    )
    anonymous = REQUEST % b""
    now = int(time.time())
    access = sign(simplejwt_claims(iat=now, exp=now + 3000))
    bearer = REQUEST % b"Authorization: Bearer %b\r\n" % access.encode()
    senders = Senders(gateway.address)
    await senders.send(0.8 * CAPACITY, 3, anonymous)  # the limit finds its place
    peak = await senders.send(0.9 * CAPACITY, 4, anonymous)
    over, signed_in = await asyncio.gather(
        senders.send(2.7 * CAPACITY, 6, anonymous), senders.send(0.3 * CAPACITY, 6, bearer)
    )
    after = [await senders.send(0.6 * CAPACITY, 1, anonymous) for _ in range(3)]
    await senders.close()
    server.die()
    best = len(peak.took) / 4
    good = (len(over.took) + len(signed_in.took)) / 6
    refused = over.refused + signed_in.refused
    figure(
        f"peak {best:.0f} a second; at 3 x {CAPACITY:.0f}: {good:.0f} in time ({good / best:.0%}), "
        f"{len(refused)} x 503 after {ms(quantile(refused, 0.5))} (p99 "
        f"{ms(quantile(refused, 0.99))}), {over.late + signed_in.late} late"
    )
    share = len(signed_in.took) / (0.3 * CAPACITY * 6)
    figure(
        f"of signed-in users' requests {share:.0%} were answered in time, of anonymous ones "
        f"{len(over.took) / (2.7 * CAPACITY * 6):.0%}; after it {[len(w.refused) for w in after]} "
        "refused in the 1st, 2nd and 3rd second"
    )
    assert over.other == signed_in.other == []
    assert good >= 0.9 * best
    assert share >= 0.9
    assert len(after[2].refused) == 0
    assert len(after[2].took) >= 0.95 * 0.6 * CAPACITY
