"""What one client can make the gateway hold, and how many there may be."""

import asyncio
import contextlib
from pathlib import Path

from gateway.edge.protocol import EdgeProtocol
from tests.edge.conftest import Opened, is_freed
from tests.servers import Upstreamed, answering, gateway_running, scripted

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MOST = 1 << 20  # bytes
PIECE = b"x" * 65536


async def test_one_connection_too_many_is_told_so_and_the_others_go_on(tmp_path: Path) -> None:
    async with scripted(answering(OK)) as upstream:
        config = f"""
server: {{max_connections: 3}}
upstreams: {{app: {{servers: ["http://127.0.0.1:{upstream.port}"]}}}}
routes: [{{path: /, auth: none, upstream: app}}]
"""
        async with gateway_running(config, tmp_path) as gateway:
            clients = [await gateway.connect() for _ in range(3)]
            for client in clients:
                await client.send(GET)
                assert (await client.head()).startswith(b"HTTP/1.1 200 ")
                await client.reader.readexactly(2)
            refused = await gateway.connect()
            answer = await refused.rest()
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"retry-after: 1\r\n" in answer
            assert b'"code":"too_many_connections"' in answer
            await refused.close()
            await clients[0].send(GET)
            assert (await clients[0].head()).startswith(b"HTTP/1.1 200 ")
            await clients.pop().close()
            async with asyncio.timeout(5):
                while len(gateway.server.server_state.connections) > 2:
                    await asyncio.sleep(0.005)
            again = await gateway.exchange(LAST)
            assert again.startswith(b"HTTP/1.1 200 ")
            for client in clients:
                await client.close()


async def test_an_upload_to_a_slow_upstream_is_not_held(before: Opened) -> None:
    reads = asyncio.Event()

    async def script(connection: Upstreamed) -> None:
        await connection.head()
        await reads.wait()
        while await connection.reader.read(65536):
            pass

    async with before(script, body="32MiB") as (gateway, _):
        client = await gateway.connect()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                for _ in range(256):
                    await client.send(PIECE)
        held = 0
        for protocol in gateway.server.server_state.connections:
            assert isinstance(protocol, EdgeProtocol)
            held += len(getattr(protocol, "_held", b"")) + len(getattr(protocol.cycle, "body", b""))
        (server,) = gateway.gateway.upstreams["app"].servers
        held += sum(each._transport.get_write_buffer_size() for each in server.busy)
        assert held <= MOST
        reads.set()
        await client.close()
        assert await is_freed(gateway)


async def test_a_thousand_clients_that_hang_up_leave_nothing(before: Opened) -> None:
    async def script(connection: Upstreamed) -> None:
        while True:
            await connection.head()
            await asyncio.sleep(0.02)
            await connection.send(OK)

    async def abort() -> None:
        with contextlib.suppress(OSError):
            client = await gateway.connect()
            await client.send(GET)
            client.writer.transport.abort()

    async with before(script, connections=64, idle="200ms") as (gateway, _):
        for _ in range(50):
            await asyncio.gather(*(abort() for _ in range(20)))
        for _ in range(100):
            assert (await gateway.exchange(LAST)).startswith(b"HTTP/1.1 200 ")
        assert await is_freed(gateway, 5)
        assert not gateway.server.server_state.tasks
