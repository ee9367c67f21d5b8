"""Liveness, readiness and metrics, on the admin listener alone."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def health_routes(
    *,
    unready_because: Callable[[], Awaitable[str | None]],
    metrics: Callable[[], Awaitable[bytes]],
) -> list[Route]:
    """`/livez` (the process), `/readyz` (it can serve), `/metrics` (Prometheus)."""

    async def livez(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        why = await unready_because()
        if why is not None:
            return JSONResponse({"status": "unready", "why": why}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def exposition(request: Request) -> Response:
        return Response(await metrics(), media_type=_EXPOSITION)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", exposition)]
