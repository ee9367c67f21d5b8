"""Wrong admin tokens: how many tries a peer has, and what is told of them.

Rules
- A peer has a few tries at once, then one every few seconds. Between these nothing from there is
  looked at, the right token neither: else guessing would be as fast as before.
- What one peer does holds no other up, and how many are remembered is bounded.
- The log is told by whom, once a minute at most for each; of no token anything.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.limits import network_of

BURST = 10  # tries of a peer at once
EVERY = 6.0  # seconds, from one to the next behind these
TOLD_EVERY = 60.0  # seconds, of each peer
MOST_PEERS = 4096

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Peer:
    spent_until: float = 0.0  # when it has all its tries again
    told_at: float = 0.0
    untold: int = 0


class Attempts:
    """The tries of each peer; `clock` is in seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._peers: dict[str, _Peer] = {}  # who tried last stands last

    def wait(self, address: str) -> float:
        """For how many seconds nothing from there is looked at; 0 for not."""
        peer = self._peers.get(network_of(address))
        if peer is None:
            return 0.0
        wait = peer.spent_until - self._clock() - (BURST - 1) * EVERY
        if wait <= 0:
            return 0.0
        self._tell(address, peer)
        return wait

    def failed(self, address: str) -> None:
        """It was a wrong one."""
        now, name = self._clock(), network_of(address)
        peer = self._peers.pop(name, None)
        if peer is None:
            self._forget(now)
            peer = _Peer(told_at=now - TOLD_EVERY)
        self._peers[name] = peer
        peer.spent_until = max(now, peer.spent_until) + EVERY
        self._tell(address, peer)

    def _tell(self, address: str, peer: _Peer) -> None:
        peer.untold += 1
        now = self._clock()
        if now - peer.told_at >= TOLD_EVERY:
            _LOG.warning("wrong admin tokens from %s: %d", address, peer.untold)
            peer.told_at, peer.untold = now, 0

    def _forget(self, now: float) -> None:
        """Those of whom there is nothing to remember, and the one that is longest ago."""
        while self._peers:
            name, peer = next(iter(self._peers.items()))
            is_past = max(peer.spent_until, peer.told_at + TOLD_EVERY) <= now
            if not is_past and len(self._peers) < MOST_PEERS:
                return
            del self._peers[name]
