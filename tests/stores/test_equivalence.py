"""Whatever happens in whatever order: the scripts answer as `judge` does in memory."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.stores.base import Presented, SessionKey, Store
from gateway.stores.memory import MemoryStore
from tests.redis_servers import RedisServer
from tests.stores.conftest import running
from tests.stores.recording import FIXED, LENIENT, POLICY, SINGLE, STRICT, RecordingSink, until

PAST, FUTURE = 1_000_000_000, 9_999_999_999

# A session is one user's: under another's name a server has it at another place.
keys = st.sampled_from(
    [SessionKey("main", "ada", "a"), SessionKey("main", "ada", "b"), SessionKey("main", "", "c")]
)
presented = st.builds(
    Presented,
    generation=st.integers(0, 3),
    is_managed=st.booleans(),
    issued_at=st.sampled_from([None, PAST, FUTURE]),
    life=st.just(10**9),
    ends_at=st.sampled_from([None, PAST * 1000, FUTURE * 1000]),
)
policies = st.sampled_from([POLICY, STRICT, FIXED, LENIENT, SINGLE])
steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["rotate"] * 3,
                "open",
                "inspect",
                "end_session",
                "end_user",
                "claim",
                "claim, end_user",
            ]
        ),
        keys,
        presented,
        policies,
    ),
    max_size=12,
)


async def told(store: Store, step: tuple[str, SessionKey, Presented, Any]) -> object:
    """What a store says to a step, times left out."""
    name, key, given_token, policy = step
    more_ends = name == "claim, end_user"
    if name == "rotate":
        return (await store.rotate(key, given_token, policy))._replace(at=0)
    if name == "open":
        opening = await store.open_session(key, policy, presented=given_token, access_life=1)
        return opening.not_before > 0
    if name == "inspect":
        return await store.inspect(key, given_token, policy)
    if name == "end_session":
        return await store.end_session(key, given_token, policy)
    if name == "end_user":
        await store.end_user(key.issuer, key.user, policy)
        return None
    # Otherwise an answer is kept for a millisecond, in which it may or may not be asked for.
    policy = replace(policy, grace=POLICY.grace)
    claim = await store.claim(key, key.id, given_token, policy, lease=10**6)
    is_good = None
    if claim.owner:
        successor = f"{key.id}+"
        if more_ends:
            await store.end_user(key.issuer, key.user, policy)
        is_good = await store.complete(
            claim,
            policy,
            answer=b"",
            successor=successor,
            access=None,
            life=10**9,
            kept_for=POLICY.grace,
        )
    known = await store.known(key.issuer, key.user, f"{key.id}+")
    return known, is_good, claim._replace(owner="")


def names(sink: RecordingSink) -> list[tuple[object, ...]]:
    return [(each.kind, each.id, each.generation) for batch, _ in sink.calls for each in batch]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as started:
        yield started


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(taken=steps)
def test_memory_and_servers_agree(
    valkey: RedisServer,
    runner: asyncio.Runner,
    taken: list[tuple[str, SessionKey, Presented, Any]],
) -> None:
    async def compare() -> None:
        valkey.ask("FLUSHALL")
        own, theirs = RecordingSink(), RecordingSink()
        memory = MemoryStore(wall=time.time)
        await memory.start(own)
        async with running(valkey.url, theirs, timeout=5) as server:
            for step in taken:
                assert await told(memory, step) == await told(server, step), step
            await until(lambda: len(names(theirs)) >= len(names(own)))
        assert names(own) == names(theirs)

    runner.run(compare())
