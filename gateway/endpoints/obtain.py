"""Login: the upstream judges the credentials, the gateway begins a session with its tokens.

Rules
- The client's request goes on as it came; what the upstream says of a failure comes back as it is.
- A success is verified, and its tokens are replaced in place: all else in the answer stays.
- Passwords can't be guessed through the edge: failures are counted before the upstream is asked.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.endpoints.answers import document_of, holders, passed
from gateway.endpoints.body import Fields, read_fields
from gateway.endpoints.token_endpoint import TokenEndpoint
from gateway.errors import AuthenticationFailed, BodyInvalid, FieldInvalid, UpstreamError
from gateway.limits import Attempt
from gateway.profiles import Answer
from gateway.proxy import Call
from gateway.request import RequestHead
from gateway.upstream.call import Reply

_FAILED = (400, 401, 403)

_LOG = logging.getLogger(__name__)


class Obtain(TokenEndpoint):
    """Forwards the login to the issuer's upstream."""

    key = "obtain"
    max_body_size = 1 << 20  # a login may bring along more than a token
    _has_warned = False

    def is_left(self, request: RequestHead) -> bool:
        return request.method != "POST"

    async def answer(self, call: Call, body: bytes) -> Answer:
        return await self.perform(call, body)

    async def perform(self, call: Call, body: bytes) -> Answer:
        desk = self.desk
        if desk.cookie is not None:
            desk.cookie.refuse_cross_site(call)
        if desk.guard is None:
            return await self._log_in(call, body, None)
        self._warn_of_proxies(call)
        names = list(self._names(call, body))
        async with desk.guard.attempt(names, call.client.address) as attempt:
            return await self._log_in(call, body, attempt)

    async def _log_in(self, call: Call, body: bytes, attempt: Attempt | None) -> Answer:
        upstream = self.desk.upstream
        if upstream is None:
            raise UpstreamError.refused()
        # The tokens in the answer must be legible; in browser mode a page with them must not be.
        without = [b"accept-encoding", *([b"accept"] if self.desk.cookie is not None else [])]
        reply = await upstream.forward(call, body, without=without)
        if not 200 <= reply.status < 300:
            if attempt is not None and reply.status in _FAILED:
                await attempt.failed()
            return passed(reply)
        document = document_of(reply)
        holder = next(holders(document, self.desk.wire.pair_names), None)
        if holder is None:
            if self.desk.cookie is not None:
                if document is None and reply.body:
                    raise UpstreamError.broken("the login's answer is not JSON")
                await self._hide(document)
            return passed(reply)
        if attempt is not None:
            await attempt.succeeded()
        names = self.desk.wire.pair_names
        tokens = {name: holder[name] for name in names if isinstance(holder.get(name), str)}
        try:
            own = await self.desk.sessions.begin(tokens, on_user=call.request.note_user)
        except AuthenticationFailed as error:
            _LOG.error(
                "issuer %r: a login's token is not good by the settings (%s): are algorithm, keys, "
                "audience and issuer those of the app?",
                self.desk.name,
                error.reason,
            )
            raise UpstreamError.broken("the login's token is not one of this issuer") from error
        return await self._begun(reply, document, holder, tokens, own)

    async def _begun(
        self,
        reply: Reply,
        document: Any,
        holder: dict[str, Any],
        tokens: Mapping[str, str],
        own: Mapping[str, str],
    ) -> Answer:
        cookie = self.desk.cookie
        if cookie is None or "refresh" not in own:
            body = reply.body
            for name, token in tokens.items():
                body = body.replace(token.encode(), own[name].encode())
            return passed(reply, body)
        holder.update(own)
        del holder["refresh"]
        await self._hide(document)
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return passed(reply, body).with_headers(*cookie.set(own["refresh"]))

    def _warn_of_proxies(self, call: Call) -> None:
        peer = call.request.peer or ""
        is_told = call.request.header(b"x-forwarded-for") is not None
        if is_told and not call.client.is_peer_trusted and not self._has_warned:
            self._has_warned = True
            _LOG.warning(
                "logins come through %s, which is not in server.trusted_proxies: if that is a "
                "proxy, the failures of all its clients are counted as one's",
                peer,
            )

    def _names(self, call: Call, body: bytes) -> Iterator[str]:
        """The user names that the login tries; none in a body that can't be read.

        Raises BodyInvalid for one that the app might read in another way.
        """
        guard = self.desk.config.login_guard
        try:
            content_type = call.request.header(b"content-type")
            fields: Fields = read_fields(content_type, body, issuer=self.desk.name)
        except BodyInvalid as error:
            if error.is_doubtful:
                raise
            return  # the app can't read it either
        except FieldInvalid:
            return
        for field in guard.username_fields if guard is not None else ():
            if (name := fields.given(field)) is not None:
                yield name
