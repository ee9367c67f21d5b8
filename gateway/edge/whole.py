"""Answers a request that is whole: by the fast lane, where nothing needs to be awaited."""

import logging
from typing import TYPE_CHECKING

from gateway.edge.fast import FastExchange
from gateway.edge.lane import Lane
from gateway.edge.refusal import give, refuse
from gateway.errors import GatewayError
from gateway.forward_auth import Allowed
from gateway.proxy import Call, too_large
from gateway.request import RequestHead
from gateway.tokens.jwks import KeysNeeded

if TYPE_CHECKING:
    from gateway.edge.protocol import EdgeProtocol

_LOG = logging.getLogger(__name__)


def answer(
    protocol: "EdgeProtocol", lane: Lane, request: RequestHead, body: bytes, *, keep_alive: bool
) -> bool:
    """Answers a whole request, or begins to; False where that is the ASGI lane's."""
    started = lane.clock()
    request_id = lane.begin(request)
    try:
        decision = lane.decide(request, request_id)
        if isinstance(decision, Call):
            return False
        forward = decision.forward if isinstance(decision, Allowed) else decision
        if forward.site.rate is not None or forward.ends_sessions:
            return False
        if len(body) > forward.site.max_body_size:
            raise too_large()
    except KeysNeeded:
        return False
    except Exception as caught:  # noqa: BLE001 - the parser would take a defect for a bad request
        error = caught
        if not isinstance(error, GatewayError):
            _LOG.exception("the gateway failed to handle a request")
            error = GatewayError("the gateway failed")
        refuse(
            protocol, lane, request, error,
            request_id=request_id, started=started, keep_alive=keep_alive,
            asked=0.0, received=len(body),
        )  # fmt: skip
        return True
    if isinstance(decision, Allowed):
        give(
            protocol, lane, request, decision.answer,
            request_id=request_id, started=started, keep_alive=keep_alive,
        )  # fmt: skip
        return True
    exchange = FastExchange(
        protocol, lane, request, decision,
        body=body, request_id=request_id, started=started, keep_alive=keep_alive,
    )  # fmt: skip
    protocol.begin(exchange)
    exchange.run()
    return True
