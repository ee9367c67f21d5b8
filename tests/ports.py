"""Ports where nobody listens, for what tests start.

They are below those that the kernel gives to clients, and each process of a test run has its own:
else one that was just found free might be taken before a server listens there.
"""

import os
import socket
from collections.abc import Iterator

_FIRST, _EACH = 12_000, 10_000


def _all_of_this_process() -> Iterator[int]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
    begin = os.getpid() * 97  # another run on this machine begins elsewhere
    while True:
        begin += 1
        yield _FIRST + number * _EACH + begin % _EACH


_PORTS = _all_of_this_process()


def free_port() -> int:
    """One that this process has not been given lately."""
    for port in _PORTS:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError


def free_ports(number: int) -> list[int]:
    return [free_port() for _ in range(number)]
