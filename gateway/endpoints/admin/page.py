"""The dashboard: files of the package, which hold no data and ask the admin API for it.

Rule: the page loads and runs nothing but these files, and speaks to nobody but this listener.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config import Secret
from gateway.endpoints.admin.guard import off

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_HEADERS = MappingProxyType(
    {
        "content-security-policy": POLICY,
        "cache-control": "no-cache",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
)
_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "/dashboard": ("dashboard.html", "text/html"),
        "/dashboard/dashboard.css": ("dashboard.css", "text/css"),
        "/dashboard/dashboard.js": ("dashboard.js", "text/javascript"),
        "/dashboard/views.js": ("views.js", "text/javascript"),
    }
)


def page_routes(*, token: Callable[[], Secret | None]) -> Iterator[Route]:
    """Where the API is off, there is no page either."""
    directory = files("gateway") / "dashboard"
    for path, (name, kind) in _FILES.items():
        yield Route(path, _serving((directory / name).read_bytes(), kind, token=token))


def _serving(
    content: bytes, kind: str, *, token: Callable[[], Secret | None]
) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        if token() is None:
            raise off()
        return Response(content, media_type=kind, headers=dict(_HEADERS))

    return serve
