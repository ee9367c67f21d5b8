"""Refresh for an issuer whose tokens the upstream alone can sign."""

import base64
import json
from functools import partial
from typing import Any

from gateway.endpoints.answers import document_of, holders, passed
from gateway.endpoints.token_endpoint import Desk, TokenEndpoint
from gateway.profiles import Answer
from gateway.proxy import Call
from gateway.request import field_of
from gateway.tokens.borrowed import BorrowedSessions
from gateway.upstream.call import Reply

_JSON = field_of(b"Content-Type", b"application/json")


class RefreshAtUpstream(TokenEndpoint):
    """Has the upstream refresh, once for all who present the same token."""

    key = "refresh"

    def __init__(self, desk: Desk, sessions: BorrowedSessions) -> None:
        super().__init__(desk)
        self._sessions = sessions

    async def perform(self, call: Call, body: bytes) -> Answer:
        desk = self.desk
        name = desk.wire.refresh_field
        token, cookie = self._given(call, self._fields(call, body), name)
        asked, sent = (call, body) if cookie is None else _with_token(call, name, token)
        approve = None
        if desk.upstream is not None and desk.config.check_user is not None:
            approve = partial(desk.upstream.approves, call)
        answer = await self._judged(
            self._sessions.refresh_at(
                token, ask=partial(self._ask, asked, sent), read=self._read, approve=approve
            ),
            cookie,
        )
        reply = answer.reply
        if cookie is None:
            return passed(reply)
        document = document_of(reply)
        holder = next(holders(document, desk.wire.pair_names), None)
        if holder is None:
            await self._hide(document)
            answered = passed(reply)
            return answered.with_headers(*cookie.clear()) if reply.status == 401 else answered
        renewed = holder.pop("refresh", None)
        await self._hide(document)
        shown = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        answered = passed(reply, shown)
        return answered.with_headers(*cookie.set(renewed)) if renewed else answered

    async def _ask(self, call: Call, body: bytes) -> "Refreshing":
        upstream = self.desk.upstream
        assert upstream is not None  # the path is not served without one
        reply = await upstream.forward(call, body, without=(b"accept-encoding",))
        return Refreshing(reply, self.desk.wire.pair_names)

    def _read(self, kept: bytes) -> "Refreshing":
        return Refreshing(_read(kept), self.desk.wire.pair_names)


class Refreshing:
    """The upstream's answer to a refresh, with the tokens under these names in it."""

    def __init__(self, reply: Reply, names: tuple[str, ...]) -> None:
        self.reply = reply
        self.tokens: dict[str, str] = {}
        if 200 <= reply.status < 300:
            holder = next(holders(document_of(reply), names), {})
            self.tokens = {n: holder[n] for n in names if isinstance(holder.get(n), str)}

    def kept(self) -> bytes:
        return _written(self.reply)


def _with_token(call: Call, name: str, token: str) -> tuple[Call, bytes]:
    """The call as a client without cookies would make it."""
    request = call.request
    dropped = (b"content-type", b"cookie", b"accept")
    kept = [each for each in request.fields() if each[0][0] not in dropped]
    plain = request.with_fields([*kept, _JSON])
    body = json.dumps({name: token}).encode()
    return Call(call.endpoint, plain, call.admitted, call.client, call.request_id), body


def _written(reply: Reply) -> bytes:
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in reply.headers]
    body = base64.b64encode(reply.body).decode()
    return json.dumps([reply.status, headers, body]).encode()


def _read(answer: bytes) -> Reply:
    read: Any = json.loads(answer)
    status, headers, body = read
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Reply(status, fields, base64.b64decode(body))
