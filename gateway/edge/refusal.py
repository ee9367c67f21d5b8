"""Answers a whole request that needs no upstream, on the gateway's own protocol."""

from typing import TYPE_CHECKING

from gateway.edge.client_head import whole_answer
from gateway.edge.lane import Lane
from gateway.errors import GatewayError, RequestRefused
from gateway.profiles import Answer
from gateway.request import RequestHead

if TYPE_CHECKING:
    from gateway.edge.protocol import EdgeProtocol


def refuse(
    protocol: "EdgeProtocol",
    lane: Lane,
    request: RequestHead,
    error: GatewayError,
    *,
    request_id: bytes,
    started: float,
    keep_alive: bool,
    asked: float,
    received: int,
) -> None:
    """Answers with an error; what else there is of the request is as `Lane.log` has it."""
    answer, is_doubtful = lane.refusal(error, request)
    is_last = is_doubtful or not keep_alive or error.status == 500  # of a defect nothing is known
    give(
        protocol, lane, request, answer,
        request_id=request_id, started=started, keep_alive=not is_last,
        asked=asked, received=received, error=error,
    )  # fmt: skip


def give(
    protocol: "EdgeProtocol",
    lane: Lane,
    request: RequestHead,
    answer: Answer,
    *,
    request_id: bytes,
    started: float,
    keep_alive: bool,
    asked: float = 0.0,
    received: int = 0,
    error: GatewayError | None = None,
) -> None:
    """Answers with what is here already, be it because of an error."""
    headers = lane.headers_of(answer, request_id, cors=request.cors, is_last=not keep_alive)
    body = b"" if request.method == "HEAD" else answer.body
    protocol.write(whole_answer(answer.status, headers, body))
    status, reason = (answer.status, "") if error is None else (error.status, error.reason)
    lane.log(request, request_id, status, reason, started, asked, len(body), received)
    if not keep_alive:
        protocol.transport.close()
    protocol.on_response_complete()


def head_too_large() -> RequestRefused:
    """For a head, or a trailer, that is not worth reading to its end."""
    return RequestRefused(431, "header_too_large", "the header fields are too large")
