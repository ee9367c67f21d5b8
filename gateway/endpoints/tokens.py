"""The token endpoints: refresh, verify, blacklist and blacklist_all, answered by the gateway alone.

Rules
- As the packages do: Authorization is ignored, but where it is the bearer's whose sessions are to
  end.
- 401 means that the token is no good; what can't be told now is 503.
"""

from functools import partial

from gateway.endpoints.body import Fields
from gateway.endpoints.browser import RefreshCookie
from gateway.endpoints.token_endpoint import LARGEST_BODY, TokenEndpoint
from gateway.errors import AuthenticationFailed, Flaw, GivenTokenRefused
from gateway.profiles import Answer
from gateway.proxy import Call, Site
from gateway.request import RequestHead
from gateway.tokens.verifier import Use


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
        self._note_user(call.request, given.claims)
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
        self._note_user(call.request, examined.claims)
        return self._written(self.desk.wire.verified(token, examined.claims), call.request)


class Blacklist(TokenEndpoint):
    """Logout: ends the session of the given token."""

    key = "blacklist"

    async def perform(self, call: Call, body: bytes) -> Answer:
        desk = self.desk
        if desk.config.profile == "drf-jwt" and await self._bearer(call.request) is None:
            raise desk.authenticator.missing()
        token, use, cookie = self._token(call, self._fields(call, body))
        ended = await self._judged(desk.sessions.end(token, use=use), cookie)
        self._note_user(call.request, ended.claims)
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
        cookie = desk.cookie
        if cookie is not None and cookie.read(call.request) is not None:
            cookie.refuse_cross_site(call)
        else:
            cookie = None
        user = await self._user(call, fields, cookie)
        if not user:
            raise GivenTokenRefused(Flaw.NO_USER, issuer=desk.name, endpoint=self.key)
        call.request.note_user(user)
        await desk.sessions.end_all(user, why="logout_all")
        answer = self._written(desk.wire.all_blacklisted(), call.request)
        return answer if cookie is None else answer.with_headers(*cookie.clear())

    async def _user(self, call: Call, fields: Fields, cookie: RefreshCookie | None) -> str:
        """Whose sessions: the bearer's, or of who holds the token that refreshes."""
        desk, name = self.desk, self.desk.wire.refresh_field
        is_given = cookie is not None or fields.given(name) is not None
        try:
            identity = await self._bearer(call.request)
        except AuthenticationFailed:
            if not is_given:  # else it is a stale header, which these paths ignore
                raise
            identity = None
        if identity is not None:
            return identity.user_id
        if not is_given:
            raise desk.authenticator.missing()
        token, read = self._given(call, fields, name)
        return (await self._judged(desk.sessions.standing(token), read)).identity.user_id


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
