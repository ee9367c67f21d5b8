"""What the token endpoints ask the issuer's own upstream: to log in, and about a user."""

import logging
from collections.abc import Iterable

from gateway.errors import UpstreamError
from gateway.proxy import Call, Site
from gateway.request import Body, RequestHead
from gateway.upstream.call import Reply, call

_LOG = logging.getLogger(__name__)


class IssuersUpstream:
    """The upstream that knows an issuer's users."""

    def __init__(self, site: Site, *, check_user: str | None, header: str, scheme: str) -> None:
        self.site = site
        self._check_user = check_user
        self._header = header.lower().encode()
        self._scheme = scheme

    async def forward(self, asked: Call, body: bytes, *, without: Iterable[bytes] = ()) -> Reply:
        """The client's request as it came, but for the header fields named in `without`.

        Raises UpstreamError.
        """
        request, dropped = asked.request, frozenset(without)
        kept = request.with_fields(each for each in request.fields() if each[0][0] not in dropped)
        head = self._head(asked, kept, Body(len(body)))
        return await call(self.site.upstream, head + body, is_idempotent=False)

    async def approves(self, asked: Call, token: str) -> bool:
        """Whether `check_user` lets the bearer of this access token pass.

        Raises UpstreamError where that can't be told.
        """
        target = (self._check_user or "/").encode()
        request = RequestHead(
            method="GET",
            target=target,
            path=target,
            query=b"",
            headers=[
                (b"accept", b"application/json"),
                (self._header, f"{self._scheme} {token}".encode()),
            ],
        )
        head = self._head(asked, request, Body(0))
        reply = await call(self.site.upstream, head, is_idempotent=True)
        if reply.status in (401, 403):
            return False
        if not 200 <= reply.status < 300:
            _LOG.error("check_user %s was answered with %d", self._check_user, reply.status)
            raise UpstreamError.broken("the upstream could not tell about the user")
        return True

    def _head(self, asked: Call, request: RequestHead, body: Body) -> bytes:
        site, host, trace = self.site, asked.admitted.host, asked.request.trace
        return site.composer.compose(
            request,
            host=host if host is not None and site.preserve_host else site.upstream.authority,
            body=body,
            added=b"%bx-request-id: %b\r\n%b"
            % (
                asked.client.lines,
                asked.request_id,
                trace.lines if trace is not None else b"",
            ),
            is_peer_trusted=asked.client.is_peer_trusted,
        )
