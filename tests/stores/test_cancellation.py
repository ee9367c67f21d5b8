"""Callers that are cancelled at any moment: no answer ever reaches another one."""

import asyncio
import random
from dataclasses import replace

from gateway.stores.base import SessionKey
from tests.redis_servers import RedisServer
from tests.stores.conftest import running
from tests.stores.recording import KEY, POLICY, RecordingSink, token

CALLS = 5000


async def test_cancelled_calls_leave_the_others_their_own_answers(
    valkey: RedisServer, sink: RecordingSink
) -> None:
    valkey.ask("FLUSHALL")
    chance = random.Random(7)
    async with running(valkey.url, sink, timeout=5) as store:
        # The session n is at the generation n, so that each answer shows whose it is.
        keys = [replace(KEY, id=f"s{number}") for number in range(50)]
        for number, key in enumerate(keys):
            await store.open_session(key, POLICY, presented=token(number), access_life=1)

        answered = 0

        async def call(number: int, key: SessionKey) -> None:
            nonlocal answered
            rotation = await store.rotate(key, token(number - 1), POLICY)
            assert rotation.generation == number
            answered += 1

        for _ in range(CALLS // 100):
            picks = [chance.randrange(50) for _ in range(100)]
            calls = [asyncio.create_task(call(pick, keys[pick])) for pick in picks]
            for each in calls:
                if chance.random() < 0.5:
                    asyncio.get_running_loop().call_later(chance.random() * 0.02, each.cancel)
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
        assert CALLS / 4 < answered < CALLS
        topology = store._breaker.topology
        assert topology is not None
        async with asyncio.timeout(5):
            while topology.nodes[0].unanswered:
                await asyncio.sleep(0.005)
