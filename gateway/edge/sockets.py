"""The open WebSockets of this worker: opened behind a real 101, ended with their sessions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.edge.client_head import head_lines
from gateway.edge.splice import GOING_AWAY, POLICY_VIOLATION, Splice
from gateway.edge.transfer import without_length
from gateway.errors import UpstreamError
from gateway.identity import Identity
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.exchange import Exchange
from gateway.upstream.headers import response_headers
from gateway.websocket import UPGRADE, Handshake

if TYPE_CHECKING:
    from gateway.edge.asgi_side import AsgiSide


@dataclass(slots=True, eq=False)
class _Open:
    splice: Splice
    bearer: Identity | None


class Sockets:
    """Opens sockets and knows those that are open."""

    def __init__(self) -> None:
        self._open: set[_Open] = set()
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def open(
        self,
        client: "AsgiSide",
        exchange: Exchange,
        connection: UpstreamConnection,
        *,
        handshake: Handshake,
        bearer: Identity | None,
        log: Callable[[str, int, int], None],
    ) -> bool:
        """Answers the client's handshake as the upstream did, and splices both connections.

        `log(reason, sent, received)` is called when the socket is over, with its bytes. False
        where the client is gone. Raises UpstreamError for an answer to something else.
        """
        if not handshake.is_met_by(exchange.headers):
            connection.abandon(exchange)
            raise UpstreamError.broken("the upstream's 101 does not answer this handshake")
        if client.transport.is_closing():
            connection.abandon(exchange)
            return False
        detached = connection.detach(exchange)
        if detached is None:
            raise UpstreamError.broken("the upstream closed the connection behind its 101")
        transport, early = detached

        connections = client.connections

        def end(reason: str) -> None:
            self._open.discard(socket)
            connections.discard(splice.client)
            log(reason, splice.client.written - len(head), splice.upstream.written)

        splice = Splice(client.transport, transport, on_end=end)
        socket = _Open(splice, bearer)
        self._open.add(socket)
        head = _switching(exchange, handshake)
        splice.client.write(head)
        is_client_slow = client.flow.write_paused
        connections.add(splice.client)  # type: ignore[arg-type]  # what the server asks, it has
        held = client.hand_over()
        splice.start(from_client=held, from_upstream=early, is_client_slow=is_client_slow)
        if self._is_stopping:
            splice.close(GOING_AWAY, "shutting_down")
        return True

    def end_revoked(self, has_ended: Callable[[Identity], bool]) -> None:
        """Closes the sockets of bearers whose session has ended."""
        for socket in list(self._open):
            if socket.bearer is not None and has_ended(socket.bearer):
                socket.splice.close(POLICY_VIOLATION, "token_revoked")

    def drain(self) -> None:
        """The worker stops: what opens now is closed at once, as the server closes the others."""
        self._is_stopping = True


def _switching(exchange: Exchange, handshake: Handshake) -> bytes:
    """The 101 as the client gets it."""
    fields: Sequence[tuple[bytes, bytes]] = without_length(response_headers(exchange.headers))
    names = {name.lower() for name, _ in fields}
    lines, _, _ = head_lines(101, exchange.reason, fields)
    if handshake.subprotocol is not None and b"sec-websocket-protocol" not in names:
        lines.append(b"Sec-WebSocket-Protocol: %b\r\n" % handshake.subprotocol)
    return b"".join([*lines, UPGRADE, b"\r\n"])
