"""What Caddy's forward_auth asks: whether a request bears a good access token (aiohttp, PyJWT)."""

import os

import jwt
from aiohttp import web

SIGNING_KEY = os.environ["BENCH_SIGNING_KEY"]


async def verify(request: web.Request) -> web.Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return web.Response(status=401)
    try:
        claims = jwt.decode(token, SIGNING_KEY, algorithms=["HS256"])
    except jwt.PyJWTError:
        return web.Response(status=401)
    return web.Response(status=200 if claims.get("token_type") == "access" else 401)


async def livez(request: web.Request) -> web.Response:
    return web.Response()


app = web.Application()
app.add_routes([web.get("/verify", verify), web.get("/livez", livez)])
if __name__ == "__main__":
    # Caddy writes the access log of the pair.
    port = int(os.environ["BENCH_ADMIN_PORT"])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None)
