"""Published keys, and sessions, for all tests here that want some."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from gateway.stores import MemoryStore
from gateway.tokens.revocation import RevocationView
from tests.factories import FrozenClock, issuer, jwk, rsa_key
from tests.tokens.key_server import KeyServer, Setting
from tests.tokens.life import Begun, Life


@pytest.fixture
def server() -> Iterator[KeyServer]:
    made = KeyServer()
    made.publish(jwk(rsa_key(0), "k0"))
    yield made
    made.close()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as made:
        yield made


@pytest.fixture
def setting(server: KeyServer, client: httpx.AsyncClient) -> Setting:
    return Setting(server, client)


@pytest.fixture
def life() -> Begun:
    def begun(*, store: MemoryStore | None = None, **settings: Any) -> Life:
        clock = FrozenClock()
        kept = store or MemoryStore(wall=clock)
        view = RevocationView(
            max_staleness=5, on_outage="deny", is_local=True, monotonic=clock, wall=clock
        )
        kept._ledger.sink = view
        return Life(issuer(clock=clock, **settings), kept, clock, view)

    return begun
