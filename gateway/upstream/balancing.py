"""Which server gets the next request: least connections, round robin, the better of two at random.

Each choice weighs by a server's `share`: its weight, less while it comes back. `turn` tells when a
server is next by its share alone (virtual time, as in fair queueing): round robin goes by it, and
equals among the least busy take turns by it.
"""

import random
from collections.abc import Callable, Sequence
from typing import Literal

from gateway.upstream.server import Server

Choice = Callable[[Sequence[Server]], Server]


def choice_of(name: Literal["least_connections", "round_robin", "random_two"]) -> Choice:
    return {
        "least_connections": _least_connections,
        "round_robin": _round_robin,
        "random_two": _random_two,
    }[name]


def took_turn(server: Server) -> None:
    """This server was chosen."""
    server.turn += 1 / server.share


def join_turns(server: Server, others: Sequence[Server]) -> None:
    """A server that is asked again is no further behind than the others: it has nothing to catch
    up."""
    if others:
        server.turn = max(server.turn, min(other.turn for other in others))


def _least_connections(servers: Sequence[Server]) -> Server:
    return min(servers, key=lambda server: (_load(server), server.turn))


def _round_robin(servers: Sequence[Server]) -> Server:
    return min(servers, key=lambda server: server.turn)


def _random_two(servers: Sequence[Server]) -> Server:
    if len(servers) == 1:
        return servers[0]
    first, second = random.sample(servers, 2)
    return first if _load(first) <= _load(second) else second


def _load(server: Server) -> float:
    return server.in_flight / server.share
