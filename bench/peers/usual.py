"""A token-checking reverse proxy as tutorials write it: Starlette, httpx.AsyncClient, PyJWT.

It is a yardstick, so it stays as it is usually found; nothing here is tuned.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import jwt
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

UPSTREAM_URL = f"http://127.0.0.1:{os.environ['BENCH_UPSTREAM_PORT']}"
SIGNING_KEY = os.environ["BENCH_SIGNING_KEY"]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=UPSTREAM_URL) as client:
        app.state.client = client
        yield


async def proxy(request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return JSONResponse({"detail": "Not authenticated"}, status_code=401)
    try:
        claims = jwt.decode(token, SIGNING_KEY, algorithms=["HS256"])
    except jwt.PyJWTError:
        return JSONResponse({"detail": "Invalid token"}, status_code=401)
    if claims.get("token_type") != "access":
        return JSONResponse({"detail": "Invalid token"}, status_code=401)

    client: httpx.AsyncClient = request.app.state.client
    url = httpx.URL(path=request.url.path, query=request.url.query.encode("utf-8"))
    upstream_request = client.build_request(
        request.method, url, headers=request.headers.raw, content=request.stream()
    )
    upstream_response = await client.send(upstream_request, stream=True)
    return StreamingResponse(
        upstream_response.aiter_raw(),
        status_code=upstream_response.status_code,
        headers=upstream_response.headers,
        background=BackgroundTask(upstream_response.aclose),
    )


app = Starlette(routes=[Route("/{path:path}", proxy, methods=METHODS)], lifespan=lifespan)
