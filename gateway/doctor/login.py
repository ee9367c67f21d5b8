"""A Django login page as a witness: its CSRF check tells which header fields and origins are taken.

Rule: what is posted is empty, which Django's login form turns down before it looks for a user.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.doctor.plan import gateway_fields
from gateway.doctor.probe import Probe, Seen, Unanswered

_PLACES = ("/admin/login/", "/accounts/login/", "/login/")
_FIELD = re.compile(rb"""name=["']csrfmiddlewaretoken["']\s+value=["']([0-9A-Za-z]+)["']""")


@dataclass(frozen=True, slots=True)
class LoginPage:
    """A page with a form that CsrfViewMiddleware guards."""

    probe: Probe = field(repr=False)
    path: str
    scheme: str
    cookies: str = field(repr=False)
    token: str = field(repr=False)

    async def refuses(
        self, header: str | None, *, scheme: str | None = None, origin: str | None = None
    ) -> bool:
        """Whether the CSRF check turns a form away that comes with its token in this header."""
        scheme = scheme or self.scheme
        host = self.probe.host
        fields = {
            **gateway_fields(urlsplit(origin).netloc if origin else host, scheme),
            "Accept": "text/html",
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": self.cookies,
            "Referer": f"{scheme}://{host}{self.path}",  # which Django asks for over https
        }
        if header is not None:
            fields[header] = self.token
        if origin is not None:
            fields["Origin"] = origin
        seen = await self.probe.ask("POST", self.path, fields)
        return seen.status in (400, 403)


async def find_login(probe: Probe, *, scheme: str) -> LoginPage | None:
    """The first of the usual places that has one."""
    for path in _PLACES:
        fields = {**gateway_fields(probe.host, scheme), "Accept": "text/html"}
        try:
            seen = await probe.ask("GET", path, fields)
        except Unanswered:
            continue
        found = _FIELD.search(seen.body)
        if seen.status == 200 and found is not None:
            return LoginPage(probe, path, scheme, _cookies(seen), found[1].decode())
    return None


def _cookies(seen: Seen) -> str:
    return "; ".join(each.partition(";")[0] for each in seen.headers.get_list("set-cookie"))
