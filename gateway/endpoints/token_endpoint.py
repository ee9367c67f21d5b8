"""What all token endpoints have in common.

Rules
- As the packages do: negotiation first, then the method, then the body; Authorization is ignored,
  but where it is the bearer's whose sessions are to end.
- Preflights are the upstream's, which knows its origins, where no route's `cors` answers them.
- 401 means that the token is no good; what can't be told now is 503.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.authentication import Authenticator
from gateway.config import IssuerConfig
from gateway.endpoints.answers import texts
from gateway.endpoints.asking import IssuersUpstream
from gateway.endpoints.body import Fields, read_fields
from gateway.endpoints.browser import RefreshCookie
from gateway.errors import (
    AuthenticationFailed,
    GatewayError,
    GivenTokenRefused,
    MethodNotAllowed,
    UpstreamError,
)
from gateway.identity import Identity
from gateway.limits import LoginGuard
from gateway.profiles import Answer, Content, Profile, TokenWire
from gateway.proxy import Call, Site
from gateway.request import RequestHead
from gateway.tokens.jwks import KeysNeeded
from gateway.tokens.revocation import RevocationView
from gateway.tokens.rules import clean_name
from gateway.tokens.sessions import Sessions
from gateway.tokens.terms import CLOCK_SKEW

LARGEST_BODY = 64 * 1024
ALLOW = (b"allow", b"POST, OPTIONS")

_LOG = logging.getLogger(__name__)
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
            if ALLOW not in error.fields:  # one error may be that of several who asked the same
                error.fields = (*error.fields, ALLOW)
            raise
        return answer.with_headers(ALLOW)

    async def _answer(self, call: Call, body: bytes) -> Answer:
        request = call.request
        accept = request.header(b"accept")
        refusal = self.desk.profile.unacceptable(accept=accept, query=request.query)
        if refusal is not None:
            return refusal
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

    async def _hide(self, document: object) -> None:
        """Raises UpstreamError where a page could read a token that refreshes.

        In browser mode what goes into the cookie stands nowhere else, under whatever name.
        """
        sessions = self.desk.sessions
        for text in texts(document):
            if text.count(".") != 2:
                continue
            try:
                await sessions.examine(text, sessions.terms.use, skew=CLOCK_SKEW)
            except AuthenticationFailed:
                continue
            _LOG.error(
                "issuer %r: an answer of the upstream has a refresh token that browser mode can't "
                "hide; it takes the one named refresh",
                self.desk.name,
            )
            raise UpstreamError.broken("the answer has a token that must be hidden")

    async def _bearer(self, request: RequestHead) -> Identity | None:
        """Whose access token is in the Authorization header; raises as on any route."""
        authenticate = self.desk.authenticator.authenticate
        try:
            identity = authenticate(request)
        except KeysNeeded as needed:
            await needed.refresh()
            try:
                identity = authenticate(request)
            except KeysNeeded as still:
                raise still.unavailable() from still
        if identity is not None:
            self.desk.view.check(identity)
        return identity

    def _note_user(self, request: RequestHead, claims: Mapping[str, Any]) -> None:
        """For the access log: whose token it was, and of which session."""
        verifier = self.desk.sessions.issuer.verifier
        named = claims.get(verifier.user_claim, claims.get("username"))
        request.note_user(clean_name(named) or "")
        request.session = clean_name(claims.get("sid")) or ""

    def _credentials(self, request: RequestHead) -> str | None:
        header = request.header(self.desk.config.auth_header_name.lower().encode())
        token = self.desk.profile.credentials(header.strip(b" \t")) if header else None
        return token.decode("latin-1") if token is not None else None
