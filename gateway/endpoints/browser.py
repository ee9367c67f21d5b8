"""Browser mode: the refresh token in a cookie that no JavaScript can read.

Rules
- HttpOnly, and sent to the token paths alone.
- A request that would use the cookie comes from the site's own pages, or from origins that the
  configuration names (Fetch metadata, RFC 6454): here, or in the `cors` of its route where that
  lets credentials go along. Clients other than browsers send neither field.
"""

from gateway.config import CookieConfig, IssuerConfig
from gateway.cors import CREDENTIALS
from gateway.errors import CrossSiteRefused
from gateway.proxy import Call
from gateway.request import RequestHead

Fields = tuple[tuple[bytes, bytes], ...]

_OWN_SITES = (b"same-origin", b"same-site", b"none")
_DEFAULT_PORTS = {"http": b":80", "https": b":443"}


class RefreshCookie:
    """Reads, sets and clears the cookie of one issuer. `paths` are those that read it."""

    def __init__(self, issuer: str, config: IssuerConfig, cookie: CookieConfig) -> None:
        endpoints = config.endpoints
        readers = (endpoints.refresh, endpoints.blacklist, endpoints.blacklist_all)
        paths = (cookie.path,) if cookie.path else tuple(dict.fromkeys(filter(None, readers)))
        secure = "; Secure" if cookie.secure else ""
        rest = f"; SameSite={cookie.same_site.capitalize()}; HttpOnly{secure}"
        self._issuer = issuer
        self._name = cookie.name
        self._endings = [f"; Path={path}{rest}" for path in paths]
        self._origins = frozenset(origin.encode() for origin in cookie.origins)
        self._max_age = int(config.refresh_token_lifetime)

    def read(self, request: RequestHead) -> str | None:
        """The token in the request's cookie, None without one."""
        wanted = self._name.encode()
        for field, line in request.headers:
            for pair in line.split(b";") if field == b"cookie" else ():
                name, _, value = pair.strip(b" ").partition(b"=")
                if name == wanted and value:
                    return value.decode("latin-1")
        return None

    def set(self, token: str) -> Fields:
        return self._fields(token, self._max_age)

    def clear(self) -> Fields:
        return self._fields("", 0)

    def refuse_cross_site(self, call: Call) -> None:
        """Raises CrossSiteRefused for a request that another site's page has sent."""
        request = call.request
        origin = request.header(b"origin")
        if origin is not None and (origin in self._origins or CREDENTIALS in request.cors):
            return
        site = request.header(b"sec-fetch-site")
        if site is not None and site not in _OWN_SITES:
            raise CrossSiteRefused(issuer=self._issuer)
        # A subdomain's page is of the same site, and only the browser can tell.
        if origin is not None and site != b"same-site" and not _is_own(origin, call):
            raise CrossSiteRefused(issuer=self._issuer)

    def _fields(self, value: str, max_age: int) -> Fields:
        return tuple(
            (b"set-cookie", f"{self._name}={value}; Max-Age={max_age}{ending}".encode())
            for ending in self._endings
        )


def _is_own(origin: bytes, call: Call) -> bool:
    """Whether this is the origin that the client asked; who ends TLS may not tell the scheme."""
    scheme, separator, authority = origin.partition(b"://")
    port = _DEFAULT_PORTS.get(scheme.decode("latin-1"), b"")
    host = call.client.host.lower()
    return bool(separator) and authority.removesuffix(port) == host.removesuffix(port)
