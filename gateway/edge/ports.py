"""TCP sockets that listen: one on a port, or several among which the kernel spreads connections."""

import contextlib
import socket

from gateway.upstream.keepalive import probe_when_silent

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError where the address is taken or not ours."""
    listener = socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
    probe_when_silent(listener)
    return listener


def listen_together(host: str, port: int, number: int) -> list[socket.socket]:
    """Several listening sockets on one address, among which the kernel spreads connections."""
    with contextlib.ExitStack() as opened:
        if port:  # else a second gateway would share the address without a word
            listen(host, port).close()
        listeners: list[socket.socket] = []
        for _ in range(number):
            listener = socket.create_server(
                (host, port), family=_family(host), backlog=BACKLOG, reuse_port=True
            )
            probe_when_silent(listener)
            listeners.append(opened.enter_context(listener))
            port = listener.getsockname()[1]
        opened.pop_all()
    return listeners


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
