"""A Django project with Channels in one file: sockets that talk, events that wait to be asked for.

It runs under Daphne or uvicorn, in one process with one event loop, so that one request can let
another one go on and tests need not guess at times. LIVE_SECRET signs the tokens of its login.
"""

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import jwt
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="live",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["channels"],
    MIDDLEWARE=[],
)

from django.core.asgi import get_asgi_application  # noqa: E402

http = get_asgi_application()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path, re_path  # noqa: E402

_asked_for = asyncio.Semaphore(0)
_told: asyncio.Queue[Any] = asyncio.Queue()
_poured: list[str] = []  # for each piece that a socket has poured, its path
# With which codes the sockets of each path were closed.
_left: defaultdict[str, asyncio.Queue[int]] = defaultdict(asyncio.Queue)


class Echo(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Says back what it hears; a few words have a meaning."""

    async def connect(self) -> None:
        await self.accept("chat" if "chat" in self.scope["subprotocols"] else None)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "who am I?":
            await self.send(json.dumps(self._told()))
        elif text_data is not None and text_data.startswith("close with "):
            await self.close(int(text_data.rpartition(" ")[2]), "as asked")
        elif text_data == "pour":
            while True:
                await self.send(bytes_data=bytes(65536))
                _poured.append(self.scope["path"])
                await asyncio.sleep(0)
        else:
            await self.send(text_data, bytes_data)

    async def disconnect(self, code: int) -> None:
        _left[self.scope["path"]].put_nowait(code)

    def _told(self) -> dict[str, Any]:
        return {
            "headers": [[name.decode(), value.decode()] for name, value in self.scope["headers"]],
            "query": self.scope["query_string"].decode(),
            "subprotocols": self.scope["subprotocols"],
        }


class Closed(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Turns everybody away."""

    async def connect(self) -> None:
        await self.close()


async def gettoken(request: Any) -> Any:
    now = int(time.time())
    common = {"iat": now, "user_id": request.GET.get("user", "1")}
    pair = {
        kind: jwt.encode(
            {"token_type": kind, "exp": now + 900, "jti": os.urandom(8).hex(), **common},
            os.environ["LIVE_SECRET"],
        )
        for kind in ("access", "refresh")
    }
    return JsonResponse(pair)


async def events(request: Any) -> Any:
    async def pieces() -> AsyncIterator[str]:
        for number in range(1, 1000):
            yield f"data: {number}\n\n"
            await _asked_for.acquire()

    return StreamingHttpResponse(pieces(), content_type="text/event-stream")


async def unbuffered_events(request: Any) -> Any:
    answer = await events(request)
    answer["X-Accel-Buffering"] = "no"
    return answer


async def ask_for_one(request: Any) -> Any:
    _asked_for.release()
    return JsonResponse({})


async def left(request: Any, socket: str) -> Any:
    """The code of the next socket of this path that is over."""
    return JsonResponse({"code": await asyncio.wait_for(_left[f"/{socket}"].get(), 20)})


async def poured(request: Any) -> Any:
    return JsonResponse({"pieces": len(_poured)})


async def told(request: Any) -> Any:
    """What a page tells of its experiences."""
    _told.put_nowait(json.loads(request.body))
    return JsonResponse({})


async def heard(request: Any) -> Any:
    return JsonResponse(await asyncio.wait_for(_told.get(), 60))


async def page(request: Any) -> Any:
    return HttpResponse(os.environ.get("LIVE_PAGE", "page"))


urlpatterns = [
    path("gettoken/", gettoken),
    path("events/", events),
    path("feed/", unbuffered_events),
    path("next/", ask_for_one),
    path("left/<path:socket>", left),
    path("poured/", poured),
    path("page/told/", told),
    path("heard/", heard),
    re_path(r"", page),
]

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(
            [path("ws/closed/", Closed.as_asgi()), re_path(r"^ws/", Echo.as_asgi())]
        ),
    }
)
