"""What the names of servers stand for, looked up again and again: containers come and go.

Rules
- A name with several addresses is several servers; those that it loses leave. Of both families,
  those of IPv4 are taken: a server that listens on one alone is most often there.
- A name that can't be looked up keeps what it stood for; before the first time it is left to the
  system, as localhost always is: the same machine under two addresses.
"""

import asyncio
import ipaddress
import logging
import random
import socket
from collections.abc import Callable, Sequence

from gateway.config import ServerAddress

JITTER = 0.1  # of the interval

_LOG = logging.getLogger(__name__)


class Names:
    """Looks up the names among these addresses, and tells `looked_up(address, ips)` of each."""

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        *,
        interval: float,
        looked_up: Callable[[ServerAddress, Sequence[str]], None],
    ) -> None:
        self._named = [address for address in addresses if _is_name(address)]
        self._interval = interval
        self._looked_up = looked_up

    def __bool__(self) -> bool:
        """Whether there is anything to look up."""
        return bool(self._named)

    async def run(self) -> None:
        """Looks them up for ever; times in seconds."""
        while True:
            await asyncio.gather(*map(self._look_up, self._named))
            await asyncio.sleep(self._interval * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311

    async def _look_up(self, address: ServerAddress) -> None:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            _LOG.warning("%s can't be looked up: %s", address.host, why)
            return
        families = {entry[0] for entry in found}
        family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
        ips = list(dict.fromkeys(str(entry[4][0]) for entry in found if entry[0] == family))
        if ips:
            self._looked_up(address, ips)


def _is_name(address: ServerAddress) -> bool:
    if address.path is not None or f".{address.host}".endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return True
    return False
