"""Liveness and readiness, on the admin listener alone."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def admin_app(*, unready_because: Callable[[], str | None]) -> Starlette:
    """The admin listener's application: `/livez` (the process), `/readyz` (it can serve)."""

    async def livez(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        why = unready_because()
        if why is not None:
            return JSONResponse({"status": "unready", "why": why}, status_code=503)
        return JSONResponse({"status": "ready"})

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz)])
