"""Before a load is timed, its tokens have been sent: all of them to a peer that remembers them."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.load import Load, warm_up

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(seen: Counter[bytes]) -> AsyncIterator[int]:
    """A server's port; it counts the Authorization fields that it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                seen[head.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0]] += 1
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.skipif(not (shutil.which("wrk") and shutil.which("taskset")), reason="needs wrk")
@pytest.mark.parametrize("caches", [1, 2])
async def test_each_cache_of_a_peer_has_seen_every_token(caches: int, tmp_path: Path) -> None:
    tokens = tmp_path / "1000.tokens"
    tokens.write_text("".join(f"token-{number}\n" for number in range(1000)))
    seen: Counter[bytes] = Counter()
    async with listening(seen) as port:
        await asyncio.to_thread(
            warm_up,
            "a peer",
            port,
            Load("", "", tokens=1000),
            tokens=tokens,
            core=min(os.sched_getaffinity(0)),
            caches=caches,
        )
    assert len(seen) == 1000
    assert min(seen.values()) >= caches**2
