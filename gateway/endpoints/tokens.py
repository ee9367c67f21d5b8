"""The token endpoints: refresh, verify, blacklist and blacklist_all, answered by the gateway alone.

Rules
- As the packages do: negotiation first, then the method, then the body; Authorization is ignored,
  but where it is the bearer's whose sessions are to end.
- Preflights are the upstream's, which knows its origins.
- 401 means that the token is no good; what can't be told now is 503.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gateway.authentication import Authenticator
from gateway.config import IssuerConfig
from gateway.endpoints.asking import IssuersUpstream
from gateway.endpoints.body import Fields, read_fields
from gateway.endpoints.browser import RefreshCookie
from gateway.errors import (
    AuthenticationFailed,
    Flaw,
    GatewayError,
    GivenTokenRefused,
    MethodNotAllowed,
)
from gateway.identity import Identity
from gateway.limits import LoginGuard
from gateway.profiles import Answer, Content, Profile, TokenWire
from gateway.proxy import Call, Site
from gateway.request import RequestHead
from gateway.tokens.revocation import RevocationView
from gateway.tokens.sessions import Sessions
from gateway.tokens.verifier import Use

LARGEST_BODY = 64 * 1024
ALLOW = (b"allow", b"POST, OPTIONS")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the token endpoints of one issuer share."""

    name: str
    config: IssuerConfig
    sessions: Sessions
    profile: Profile
    wire: TokenWire
    authenticator: Authenticator
    view: RevocationView
    upstream: IssuersUpstream | None
    cookie: RefreshCookie | None
    guard: LoginGuard | None


class TokenEndpoint(ABC):
    """What all have in common; `key` names the endpoint in the configuration."""

    key: str
    max_body_size = LARGEST_BODY

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.label = f"{desk.name}:{self.key}"

    @property
    def site(self) -> Site | None:
        return self.desk.upstream.site if self.desk.upstream is not None else None

    def is_left(self, request: RequestHead) -> bool:
        return request.is_preflight and self.desk.upstream is not None

    async def answer(self, call: Call, body: bytes) -> Answer:
        """Raises GatewayError."""
        try:
            answer = await self._answer(call, body)
        except GatewayError as error:
            error.fields = (*error.fields, ALLOW)
            raise
        return answer.with_headers(ALLOW)

    async def _answer(self, call: Call, body: bytes) -> Answer:
        request = call.request
        probe = self._written(Content(200, {}), request)
        if probe.status != 200:
            return probe
        if request.method == "OPTIONS":
            described = self.desk.wire.described(self.key)
            if described is not None:
                return self._written(described, request)
        if request.method != "POST":
            raise MethodNotAllowed(request.method, issuer=self.desk.name)
        return await self.perform(call, body)

    @abstractmethod
    async def perform(self, call: Call, body: bytes) -> Answer:
        """Answers a POST; raises GatewayError."""
        ...

    def _written(self, content: Content, request: RequestHead) -> Answer:
        accept = request.header(b"accept")
        return self.desk.profile.content(content, accept=accept, query=request.query)

    def _fields(self, call: Call, body: bytes) -> Fields:
        return read_fields(call.request.header(b"content-type"), body, issuer=self.desk.name)

    def _given(self, call: Call, fields: Fields, name: str) -> tuple[str, RefreshCookie | None]:
        """The token that refreshes, and the cookie where it came from there."""
        cookie = self.desk.cookie
        if cookie is None or fields.given(name) is not None:
            return fields.text(name), None
        token = cookie.read(call.request)
        if token is None:
            return fields.text(name), None
        cookie.refuse_cross_site(call)
        return token, cookie

    async def _judged(self, judged: Awaitable[_T], cookie: RefreshCookie | None = None) -> _T:
        """What comes of a given token; a bad one is worded as at this endpoint."""
        try:
            return await judged
        except AuthenticationFailed as error:
            refused = GivenTokenRefused(error.flaw, issuer=self.desk.name, endpoint=self.key)
            if cookie is not None:
                refused.fields = cookie.clear()
            raise refused from error

    def _bearer(self, request: RequestHead) -> Identity | None:
        """Whose access token is in the Authorization header; raises as on any route."""
        identity = self.desk.authenticator.authenticate(request)
        if identity is not None:
            self.desk.view.check(identity)
        return identity

    def _credentials(self, request: RequestHead) -> str | None:
        header = request.header(self.desk.config.auth_header_name.lower().encode())
        token = self.desk.profile.credentials(header.strip(b" \t")) if header else None
        return token.decode("latin-1") if token is not None else None


class Refresh(TokenEndpoint):
    """Spends the token that refreshes, and gives its successors."""

    key = "refresh"

    async def perform(self, call: Call, body: bytes) -> Answer:
        desk = self.desk
        token, cookie = self._given(call, self._fields(call, body), desk.wire.refresh_field)
        approve = None
        if desk.upstream is not None and desk.config.check_user is not None:
            approve = partial(desk.upstream.approves, call)
        given = await self._judged(desk.sessions.refresh(token, approve=approve), cookie)
        shown = given.refresh if cookie is None else None
        content = desk.wire.refreshed(access=given.access, refresh=shown, claims=given.claims)
        answer = self._written(content, call.request)
        if cookie is not None and given.refresh is not None:
            return answer.with_headers(*cookie.set(given.refresh))
        return answer


class Verify(TokenEndpoint):
    """Tells whether a token is good."""

    key = "verify"

    async def perform(self, call: Call, body: bytes) -> Answer:
        token = self._fields(call, body).text(self.desk.wire.verify_field)
        examined = await self._judged(self.desk.sessions.verify(token))
        return self._written(self.desk.wire.verified(token, examined.claims), call.request)


class Blacklist(TokenEndpoint):
    """Logout: ends the session of the given token."""

    key = "blacklist"

    async def perform(self, call: Call, body: bytes) -> Answer:
        desk = self.desk
        if desk.config.profile == "drf-jwt" and self._bearer(call.request) is None:
            raise desk.authenticator.missing()
        token, use, cookie = self._token(call, self._fields(call, body))
        await self._judged(desk.sessions.end(token, use=use), cookie)
        answer = self._written(desk.wire.blacklisted(token), call.request)
        return answer if cookie is None else answer.with_headers(*cookie.clear())

    def _token(self, call: Call, fields: Fields) -> tuple[str, Use, RefreshCookie | None]:
        desk, name = self.desk, self.desk.wire.blacklist_field
        if not desk.config.is_single:
            token, cookie = self._given(call, fields, name)
            return token, Use.REFRESH, cookie
        if desk.config.is_sliding:
            # The package's view knows but refresh tokens, and leaves sliding ones without logout.
            if fields.given(name) is None and (sliding := fields.given("token")) is not None:
                return sliding, Use.SLIDING, None
            return fields.text(name), Use.REFRESH, None
        given = fields.given(name) or self._credentials(call.request)
        return given if given is not None else fields.text(name), Use.ACCESS, None


class BlacklistAll(TokenEndpoint):
    """Ends all sessions of the bearer, told by an access token or by one that refreshes."""

    key = "blacklist_all"

    async def perform(self, call: Call, body: bytes) -> Answer:
        desk = self.desk
        fields = self._fields(call, body)
        identity, cookie = self._bearer(call.request), None
        if desk.cookie is not None and desk.cookie.read(call.request) is not None:
            desk.cookie.refuse_cross_site(call)
            cookie = desk.cookie
        if identity is None:
            name = desk.wire.refresh_field
            if fields.given(name) is None and cookie is None:
                raise desk.authenticator.missing()
            token, cookie = self._given(call, fields, name)
            identity = (await self._judged(desk.sessions.verify(token), cookie)).identity
        if not identity.user_id:
            raise GivenTokenRefused(Flaw.NO_USER, issuer=desk.name, endpoint=self.key)
        await desk.sessions.end_all(identity.user_id, why="logout_all")
        answer = self._written(desk.wire.all_blacklisted(), call.request)
        return answer if cookie is None else answer.with_headers(*cookie.clear())


class MissingSlash:
    """A token path without its slash, redirected as Django's CommonMiddleware does.

    It is not left to the upstream: where that took the path without its slash too, its own token
    views would answer there, past every revocation.
    """

    max_body_size = LARGEST_BODY

    def __init__(self, path: str, endpoint: TokenEndpoint) -> None:
        self._location = path.encode()
        self._endpoint = endpoint
        self.label = endpoint.label

    @property
    def site(self) -> Site | None:
        return self._endpoint.site

    def is_left(self, request: RequestHead) -> bool:
        return self._endpoint.is_left(request) and request.is_preflight

    async def answer(self, call: Call, body: bytes) -> Answer:
        query = call.request.query
        location = self._location + (b"?" + query if query else b"")
        headers = (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"location", location),
            (b"content-length", b"0"),
        )
        return Answer(301, headers, b"")
