"""Answers a whole request with an error, on the gateway's own protocol."""

from typing import TYPE_CHECKING

from gateway.edge.client_head import whole_answer
from gateway.edge.lane import Lane
from gateway.errors import GatewayError, RequestRefused
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
    headers = lane.headers_of(answer, request_id, cors=request.cors, is_last=is_last)
    body = b"" if request.method == "HEAD" else answer.body
    protocol.write(whole_answer(answer.status, headers, body))
    lane.log(
        request, request_id, error.status, error.reason,
        started, asked, len(body), received,
    )  # fmt: skip
    if is_last:
        protocol.transport.close()
    protocol.on_response_complete()


def head_too_large() -> RequestRefused:
    """For a head, or a trailer, that is not worth reading to its end."""
    return RequestRefused(431, "header_too_large", "the header fields are too large")
