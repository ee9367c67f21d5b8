"""Active health checks: asks each server for a path now and then, on a connection of its own."""

import asyncio
import random
import re
from collections.abc import Iterable

from gateway.config import HealthCheckConfig
from gateway.upstream.server import Server

JITTER = 0.2  # of the interval, so that many gateways do not ask at once

_WELL = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9][ \r]")
_LONGEST_LINE = 8192  # bytes


class Prober:
    """Asks these servers as the settings say; what comes of it is told to their health."""

    def __init__(
        self, servers: Iterable[Server], *, check: HealthCheckConfig, authority: bytes
    ) -> None:
        self._servers = servers
        self._check = check
        host = authority if check.host is None else check.host.encode()
        self._request = (
            b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: gateway-health-check\r\n"
            b"Connection: close\r\n\r\n" % (check.path.encode(), host)
        )

    async def run(self) -> None:
        """Checks for ever, the first time at once."""
        interval = self._check.interval
        while True:
            await asyncio.gather(*map(self._probe, list(self._servers)))
            await asyncio.sleep(interval * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311

    async def _probe(self, server: Server) -> None:
        is_well = await self._is_well(server)
        server.health.checked(is_well, asyncio.get_running_loop().time())

    async def _is_well(self, server: Server) -> bool:
        try:
            async with asyncio.timeout(self._check.timeout):
                reader, writer = await _connected(server)
                try:
                    writer.write(self._request)
                    return _WELL.match(await reader.readline()) is not None
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, ValueError):  # ValueError: a line without an end
            return False


async def _connected(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = server.address
    if address.path is not None:
        return await asyncio.open_unix_connection(address.path, limit=_LONGEST_LINE)
    host = server.ip or address.host
    return await asyncio.open_connection(host, address.port, limit=_LONGEST_LINE)
