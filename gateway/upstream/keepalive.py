"""TCP's own keepalive: how a peer that is gone without a word is noticed where no time limit is.

Sockets and event streams may be silent for as long as they like; a machine that is off may not.
"""

import socket

_TIMES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # seconds, seconds, probes


def probe_when_silent(connection: socket.socket) -> None:
    """Has the kernel ask the peer for a sign of life from the first minute of silence on.

    A socket that listens passes this on to those it accepts.
    """
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TIMES.items():
        if hasattr(socket, name):  # not everywhere
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
