"""What a worker's gateway tells the admin listener, and does for it."""

import math
from typing import Any

from gateway.app.gateway import Gateway
from gateway.endpoints.admin.fleet import Question, ServerState, State, Unanswered, UpstreamState
from gateway.errors import StoreUnavailable
from gateway.upstream.pool import Upstream
from gateway.upstream.server import Server

LOOK_FOR_SESSIONS = 10.0  # seconds
PATIENCE = LOOK_FOR_SESSIONS + 5  # … until a worker is taken to hang
WHY = "admin"  # the label of `gateway_revocations_total`

Told = tuple[Any, str]  # an answer, or why there is none


async def told(gateway: Gateway, question: Question, arguments: tuple[str, ...]) -> Told:
    """The answer of this gateway, as it is sent to who has the admin listener."""
    if question is Question.STATE:
        return _state(gateway), ""
    issuer, user, *session = arguments
    sessions = gateway.sessions.get(issuer)
    if sessions is None:  # reloaded meanwhile
        return None, "issuer_unknown"
    try:
        if question is Question.SESSIONS:
            return await gateway.store.sessions(issuer, user, patience=LOOK_FOR_SESSIONS), ""
        if question is Question.REVOKE:
            return await sessions.revoke(user, session[0], why=WHY), ""
        assert question is Question.END_ALL, question
        await sessions.end_all(user, why=WHY)
    except StoreUnavailable as error:
        return None, error.reason
    return True, ""


def understood(answer: Told) -> Any:
    """What `told` has told; raises Unanswered."""
    value, why = answer
    if why:
        raise Unanswered(why, "the store is away" if why == StoreUnavailable.reason else why)
    return value


def _state(gateway: Gateway) -> State:
    staleness = gateway.view.staleness
    return State(
        upstreams=tuple(_upstream(name, one) for name, one in gateway.upstreams.items()),
        store_is_up=gateway.store.is_up,
        revocations=len(gateway.view),
        staleness=staleness if math.isfinite(staleness) else None,
    )


def _upstream(name: str, upstream: Upstream) -> UpstreamState:
    limit = upstream.concurrency
    return UpstreamState(
        name,
        pending=len(upstream.waiters),
        concurrency_limit=limit.limit if limit is not None else None,
        servers=tuple(map(_server, upstream.servers.present)),
    )


def _server(server: Server) -> ServerState:
    health = server.health
    return ServerState(
        server.name,
        is_up=health.is_up,
        is_ejected=health.is_ejected,
        fails_checks=health.fails_checks,
        circuit=health.breaker.state.value if health.breaker is not None else None,
        idle=len(server.idle),
        busy=len(server.busy),
        connecting=server.connecting,
    )
