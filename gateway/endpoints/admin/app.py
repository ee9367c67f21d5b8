"""The application of the admin listener: who may see what, and under which path."""

import time
from collections.abc import Awaitable, Callable, Iterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router

from gateway.config import AdminConfig, Secret
from gateway.endpoints.admin.api import OPERATIONS, Api, Reloads
from gateway.endpoints.admin.attempts import Attempts
from gateway.endpoints.admin.fleet import Fleet
from gateway.endpoints.admin.guard import Guard
from gateway.endpoints.admin.hosts import NamedRightly
from gateway.endpoints.admin.openapi import DOCUMENT, PREFIX, document
from gateway.endpoints.admin.operations import Operation
from gateway.endpoints.admin.page import page_routes
from gateway.endpoints.admin.problems import (
    PRIVATE,
    ApiProblem,
    on_defect,
    on_http,
    on_problem,
)
from gateway.endpoints.health import health_routes
from gateway.telemetry.admin_metrics import AdminMetrics
from gateway.telemetry.rates import Rates


def admin_app(fleet: Fleet, *, reloads: Reloads, rates: Rates) -> Starlette:
    """`/livez`, `/readyz` and `/metrics` for everybody; `/api` for who has the token.

    `/dashboard` is a page without data, which is there where the API is.
    """

    def settings() -> AdminConfig:
        return fleet.config.admin

    def token() -> Secret | None:
        return settings().token

    counts = AdminMetrics()

    async def exposition() -> bytes:
        return await fleet.exposition() + counts.exposition()

    api = Api(fleet, reloads=reloads, rates=rates)
    router = Router([*_routes(api)], redirect_slashes=False)
    handlers = {ApiProblem: on_problem, HTTPException: on_http}
    guarded = Guard(
        ExceptionMiddleware(router, handlers=handlers),
        token=token,
        attempts=Attempts(clock=time.monotonic),
        metrics=counts,
    )
    routes: list[BaseRoute] = [
        *health_routes(unready_because=fleet.unready_because, metrics=exposition),
        *page_routes(token=token),
        Mount(PREFIX, app=guarded),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(NamedRightly, settings=settings)],
        exception_handlers={**handlers, Exception: on_defect},
    )
    app.router.redirect_slashes = False
    return app


def _routes(api: Api) -> Iterator[Route]:
    for one in OPERATIONS:
        yield Route(one.path, _answering(api, one), methods=[one.method])
    told = document(OPERATIONS)

    async def tell(request: Request) -> Response:
        return JSONResponse(told, headers=dict(PRIVATE))

    yield Route(DOCUMENT, tell)


def _answering(api: Api, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        found = await operation.handler(api, request)
        return JSONResponse(found.model_dump(mode="json"), headers=dict(PRIVATE))

    return answer
