"""A Django project in one file, which answers with what reached it.

It runs in an example's environment under Gunicorn. Requests to `/hold/` and `/drip/` stay in
flight until somebody asks for `/release/`, so that tests need not guess at times. `/die/` leaves a
line in the file ECHO_DEATHS and kills its worker, which Gunicorn then replaces. `/entries/NAME/`
writes a row into the database ECHO_DATABASE each time that it runs.
"""

import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse, StreamingHttpResponse
from django.urls import path, re_path

MEBIBYTE = 1024 * 1024

settings.configure(
    DEBUG=False, SECRET_KEY="echo", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[]
)

_released = threading.Event()
_held = threading.Semaphore(0)


def echo(request: Any, view: str, **_: Any) -> Any:
    meta = {key: value for key, value in request.META.items() if isinstance(value, str)}
    body = {"view": view, "scheme": request.scheme, "path": request.path_info, "meta": meta}
    return JsonResponse(body)


def hold(request: Any) -> Any:
    _held.release()
    return JsonResponse({"released": _released.wait(30)})


def drip(request: Any) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"first,"
        _held.release()
        _released.wait(30)
        yield b"last"

    return StreamingHttpResponse(pieces())


def held(request: Any, number: int) -> Any:
    """Answers once that many requests more are held."""
    return JsonResponse({"held": all(_held.acquire(timeout=30) for _ in range(number))})


def release(request: Any) -> Any:
    _released.set()
    return JsonResponse({})


def die(request: Any) -> None:
    with open(os.environ["ECHO_DEATHS"], "a") as deaths:
        deaths.write(f"{request.method}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def nap(request: Any, milliseconds: int) -> Any:
    time.sleep(milliseconds / 1000)
    return JsonResponse({}, headers={"Content-Length": "2"})


def enter(request: Any, name: str) -> Any:
    place = os.environ["ECHO_DATABASE"]
    with contextlib.closing(sqlite3.connect(place, timeout=30, isolation_level=None)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS entries (name TEXT)")
        database.execute("INSERT INTO entries VALUES (?)", [name])
    return JsonResponse({}, status=201, headers={"Content-Length": "2"})


def download(request: Any, mebibytes: int) -> Any:
    source = random.Random(mebibytes)
    pieces = (source.randbytes(MEBIBYTE) for _ in range(mebibytes))
    return StreamingHttpResponse(pieces, headers={"Content-Length": mebibytes * MEBIBYTE})


def upload(request: Any) -> Any:
    digest, length = hashlib.sha256(), 0
    while piece := request.META["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    return JsonResponse({"sha256": digest.hexdigest(), "length": length})


urlpatterns = [
    path("hold/", hold),
    path("drip/", drip),
    path("held/<int:number>/", held),
    path("release/", release),
    path("die/", die),
    path("nap/<int:milliseconds>/", nap),
    path("entries/<str:name>/", enter),
    path("download/<int:mebibytes>/", download),
    path("upload/", upload),
    re_path(r"^studentapi(?:/.*)?\Z", echo, {"view": "protected"}),
    re_path(r"^(?s:.)*\Z", echo, {"view": "open"}),
]

application = get_wsgi_application()
