"""Whether Django believes by which scheme the client came: redirects, and the origins of forms.

Behind a gateway all requests come by plain HTTP: what Django thinks of them hangs on
X-Forwarded-Proto, and on whether SECURE_PROXY_SSL_HEADER reads it (or Gunicorn, of a peer that it
trusts).
"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from gateway.doctor.finding import Check, Finding, Subject
from gateway.doctor.login import LoginPage
from gateway.doctor.plan import CheckedServer, Plan, gateway_fields
from gateway.doctor.probe import Probe, Seen

_BELIEVE = 'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") in Django\'s settings'


async def https_redirect(plan: Plan, probe: Probe, subject: Subject) -> tuple[Finding, str]:
    """Whether a client that came by https is sent to https again; and the scheme that is served."""
    check, path = Check.HTTPS_REDIRECT, plan.first_path
    by_http = await probe.ask("GET", path, gateway_fields(probe.host, "http"))
    by_https = await probe.ask("GET", path, gateway_fields(probe.host, "https"))
    if _leads_to_https(by_https, path):
        return subject.error(
            check,
            f"GET {path} with X-Forwarded-Proto: https is answered {by_https.status} to https "
            "again: browsers end in a redirect loop",
            f"{_BELIEVE}, beside its SECURE_SSL_REDIRECT",
        ), "http"
    if not _leads_to_https(by_http, path):
        return subject.ok(check, f"GET {path} is not redirected to https"), "http"
    if not plan.is_behind_tls:
        return subject.error(
            check,
            f"GET {path} is redirected to https, and no proxy is trusted to say that a client came "
            "by it: X-Forwarded-Proto is always http, and browsers end in a redirect loop",
            "name the proxy that ends TLS in server.trusted_proxies",
        ), "https"
    return subject.ok(check, f"GET {path} is redirected to https by http alone"), "https"


async def csrf_origin(server: CheckedServer, login: LoginPage | None) -> Finding:
    """Whether a browser's form passes Django's check of its origin."""
    check, subject = Check.CSRF_ORIGIN, server.subject
    if login is None:
        return subject.unknown(check, "no login page under /admin/login/ or /accounts/login/")
    if await login.refuses("X-CSRFToken"):
        return subject.unknown(check, f"POST {login.path} takes no X-CSRFToken")
    failing = [origin async for origin in _failing_origins(server, login)]
    if not failing:
        return subject.ok(check, f"POST {login.path} takes a form of its own origin")
    told = f"POST {login.path} with Origin: {' or '.join(failing)} is answered 403 (CSRF)"
    remedy = f"{_BELIEVE}; or CSRF_TRUSTED_ORIGINS = {failing!r}"
    if all(origin.startswith("https:") for origin in failing) and not server.plan.is_behind_tls:
        return subject.info(
            check,
            f"{told}: no proxy is trusted now, but behind one that ends TLS forms fail",
            remedy,
        )
    if not server.plan.settings.preserve_host:
        remedy += f"; or preserve_host: true for upstreams.{server.plan.name}"
    return subject.error(check, f"{told}: browsers can't log in", remedy)


async def _failing_origins(server: CheckedServer, login: LoginPage) -> AsyncIterator[str]:
    schemes = ("http", "https") if login.scheme == "http" else ("https",)
    settings = server.plan.settings
    names = (server.probe.host,) if settings.preserve_host else server.plan.named[:1]
    for host in names or (server.probe.host,):
        for scheme in schemes:
            origin = f"{scheme}://{host}"
            if await login.refuses("X-CSRFToken", scheme=scheme, origin=origin):
                yield origin


def _leads_to_https(seen: Seen, path: str) -> bool:
    """Whether it is sent to the same path by https, as SECURE_SSL_REDIRECT has it."""
    if seen.status not in (301, 302, 307, 308):
        return False
    place = urlsplit(seen.header("location"))
    return place.scheme == "https" and place.path.rstrip("/") == path.partition("?")[0].rstrip("/")
