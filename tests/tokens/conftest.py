"""Published keys, for all tests here that want some."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.factories import (
    jwk,
    rsa_key,
)
from tests.tokens.key_server import KeyServer, Setting


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
