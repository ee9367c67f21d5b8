"""A graceful stop, as clients on kept connections see it."""

import asyncio

from tests.edge.conftest import Opened
from tests.servers import answering

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def test_a_client_that_was_waiting_gets_one_more_answer(before: Opened) -> None:
    async with before(answering(ANSWER)) as (gateway, _):
        client = await gateway.connect()
        await client.send(REQUEST)
        assert b"connection: close" not in (await client.head()).lower()
        assert await client.exactly(2) == b"ok"

        gateway.server.should_exit = True
        while gateway.server.servers[0].is_serving():
            await asyncio.sleep(0)

        await client.send(REQUEST)
        assert b"\r\nconnection: close\r\n" in (await client.head()).lower()
        assert await client.rest() == b"ok"
        await client.close()


async def test_a_new_connection_has_the_time_for_its_request(before: Opened) -> None:
    async with before(answering(ANSWER)) as (gateway, _):
        client = await gateway.connect()
        gateway.server.should_exit = True
        while gateway.server.servers[0].is_serving():
            await asyncio.sleep(0)
        await client.send(REQUEST)
        assert (await client.rest()).endswith(b"ok")
        await client.close()


async def test_who_stays_silent_is_let_go(before: Opened) -> None:
    async with before(answering(ANSWER)) as (gateway, _):
        silent, used = await gateway.connect(), await gateway.connect()
        await used.send(REQUEST)
        await used.head()
        gateway.server.should_exit = True
        assert await silent.rest() == b""
        assert await used.rest() == b"ok"
        for client in (silent, used):
            await client.close()
