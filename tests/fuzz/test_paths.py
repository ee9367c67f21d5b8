"""The path that routes is the path that Django sees, under Gunicorn and under an ASGI server."""

from urllib.parse import unquote

from django.core.handlers.wsgi import get_path_info
from gunicorn.util import split_request_uri, unquote_to_wsgi_str
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import RequestRefused
from gateway.request import parse_target, simplified

_PIECES = st.sampled_from(
    (
        b"/",
        b"//",
        b"/./",
        b"/../",
        b"%2e",
        b"%2E%2e",
        b"%2f",
        b"%5c",
        b"\\",
        b"%25",
        b"%252f",
        b"a",
        b"admin",
        b"%61",
        b"%C3%A9",
        b"%c3",
        b"%80",
        b"%ff",
        b"%00",
        b"%0a",
        b";x=1",
        b"?",
        b"?q=/../",
        b"#",
        b"%",
        b"%4",
        b"%zz",
        b":",
        b"@",
        b"+",
        b"%20",
        b"~",
        b"*",
        b"http://b/",
        b"\xc3\xa9",
        b"%E0%80%AF",
    )
)


def seen_by_wsgi(target: bytes) -> str:
    """Django's `path_info` behind Gunicorn."""
    path = split_request_uri(target.decode("latin-1")).path
    return str(get_path_info({"PATH_INFO": unquote_to_wsgi_str(path)}))


def seen_by_asgi(target: bytes) -> str:
    """Django's `path_info` behind uvicorn or Daphne."""
    return unquote(target.partition(b"?")[0].decode("ascii"))


@given(pieces=st.lists(_PIECES, max_size=6))
@example(pieces=[b"/", b"/", b"a"])
@example(pieces=[b"/", b"%ff", b"%C3%A9"])
def test_the_path_that_routes_is_the_one_that_django_resolves(pieces: list[bytes]) -> None:
    target = b"/" + b"".join(pieces)
    try:
        path, query = parse_target(target)
    except RequestRefused:
        return
    told = seen_by_wsgi(target)
    if target.startswith(b"//"):
        # Gunicorn keeps the first slashes as they are, and so does the gateway.
        assert simplified(path) is not None
    assert told.encode() == _as_django_repairs(path)
    if b"%" not in target:
        assert seen_by_asgi(target).encode() == path
    assert (target.partition(b"?")[2]) == query


def _as_django_repairs(path: bytes) -> bytes:
    """What is no UTF-8 is percent-encoded again by Django, byte for byte."""
    try:
        path.decode()
    except UnicodeDecodeError as error:
        broken = "".join(f"%{byte:02X}" for byte in path[error.start : error.end]).encode()
        return path[: error.start] + broken + _as_django_repairs(path[error.end :])
    return path
