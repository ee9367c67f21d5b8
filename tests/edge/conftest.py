"""What the lane's tests share: a gateway before a scripted upstream, on one open route."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.edge.protocol import EdgeProtocol
from tests.servers import RunningGateway, Script, ScriptedUpstream, gateway_running, scripted

OPEN = """
server: {{header_timeout: {head}, body_timeout: 300ms, max_body_size: {body}}}
logging: {{access_log: false}}
upstreams:
  app:
    servers: ["http://127.0.0.1:{port}"]
    timeouts: {{connect: 300ms, queue: 300ms, read: {read}, idle: {idle}}}
    max_connections: {connections}
routes:
  - {{path: /, auth: none, upstream: app}}
"""


@pytest.fixture(params=["fast", "asgi"], autouse=True)
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By which lane proxied requests go: all that is tested here holds for both."""
    monkeypatch.setattr(EdgeProtocol, "is_fast", request.param == "fast")
    return str(request.param)


Opened = Callable[..., AbstractAsyncContextManager[tuple[RunningGateway, ScriptedUpstream]]]


@pytest.fixture
def before(tmp_path: Path) -> Opened:
    """`async with before(script) as (gateway, upstream)`: a gateway before this upstream."""

    @contextlib.asynccontextmanager
    async def opened(
        script: Script,
        *,
        read: str = "5s",
        idle: str = "1s",
        connections: int = 8,
        head: str = "10s",
        body: str = "1MiB",
    ) -> AsyncIterator[tuple[RunningGateway, ScriptedUpstream]]:
        async with scripted(script) as upstream:
            config = OPEN.format(
                port=upstream.port,
                read=read,
                idle=idle,
                connections=connections,
                head=head,
                body=body,
            )
            async with gateway_running(config, tmp_path) as gateway:
                yield gateway, upstream

    return opened


async def is_freed(gateway: RunningGateway, seconds: float = 3) -> bool:
    """Whether the upstream's connections are all given up in this time."""
    pool = gateway.gateway.upstreams["app"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while pool.open_connections:
                await asyncio.sleep(0.01)
    return pool.open_connections == 0
