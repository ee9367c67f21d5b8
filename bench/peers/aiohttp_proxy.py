"""A token-checking reverse proxy as usually written with aiohttp, server and client, and PyJWT.

It is a yardstick, so it stays as it is usually found; nothing here is tuned.
"""

import logging
import os
from collections.abc import AsyncIterator

import aiohttp
import jwt
from aiohttp import web

UPSTREAM_URL = f"http://127.0.0.1:{os.environ['BENCH_UPSTREAM_PORT']}"
SIGNING_KEY = os.environ["BENCH_SIGNING_KEY"]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade"}
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def client(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        app[SESSION] = session
        yield


async def proxy(request: web.Request) -> web.StreamResponse:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return web.json_response({"detail": "Not authenticated"}, status=401)
    try:
        claims = jwt.decode(token, SIGNING_KEY, algorithms=["HS256"])
    except jwt.PyJWTError:
        return web.json_response({"detail": "Invalid token"}, status=401)
    if claims.get("token_type") != "access":
        return web.json_response({"detail": "Invalid token"}, status=401)

    headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
    async with request.app[SESSION].request(
        request.method,
        UPSTREAM_URL + request.path_qs,
        headers=headers,
        data=request.content if request.can_read_body else None,
        allow_redirects=False,
    ) as answer:
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


app = web.Application()
app.cleanup_ctx.append(client)
app.router.add_route("*", "/{path:.*}", proxy)
if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    web.run_app(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]))
