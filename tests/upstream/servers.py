"""Upstreams of several servers for the tests of this folder, and how they are asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.config import UpstreamConfig
from gateway.errors import GatewayError
from gateway.upstream.exchange import Exchange
from gateway.upstream.pool import Upstream, server_of
from gateway.upstream.server import Server

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class Ask:
    is_urgent: bool = True
    is_idempotent: bool = True


GET = Ask()
POST = Ask(is_idempotent=False)


def upstream_at(ports: Sequence[int], **settings: Any) -> Upstream:
    """An upstream of servers on these ports of loopback, that has not started."""
    servers = [f"http://127.0.0.1:{port}" for port in ports]
    return Upstream("u", UpstreamConfig.model_validate({"servers": servers, **settings}))


@contextlib.asynccontextmanager
async def running(ports: Sequence[int], **settings: Any) -> AsyncIterator[Upstream]:
    upstream = upstream_at(ports, **settings)
    upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()


async def ask(upstream: Upstream, asking: Ask = GET) -> tuple[Server, int]:
    """Which server answered one request, and with which status."""
    connection = upstream.take(asking) or await upstream.connect(asking)
    exchange = Exchange(asyncio.get_running_loop(), is_sent=True)
    connection.begin(exchange, REQUEST, is_head=False, is_whole=True)
    try:
        while not exchange.ended:
            if exchange.failure:
                raise exchange.failure
            await exchange.news()
            exchange.take()
    finally:
        connection.abandon(exchange)
    return server_of(connection), exchange.status


async def reason_of(upstream: Upstream, asking: Ask = GET) -> str:
    """Why one request fails."""
    try:
        await ask(upstream, asking)
    except GatewayError as error:
        return error.reason
    return ""


def ports_of(servers: Sequence[Server]) -> list[int]:
    return [server.address.port for server in servers]
