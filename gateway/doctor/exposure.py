"""Who can reach a server past the gateway.

From here it can't be seen what a firewall lets through: what is told is the address, and whether
this machine's own addresses lead to it.
"""

import asyncio
import contextlib
import ipaddress
import socket
import stat
from pathlib import Path

from gateway.config import ServerAddress
from gateway.doctor.finding import Check, Finding, Subject

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CONNECTING = 1.0  # seconds
# Where a packet to these would leave from (RFC 5737, RFC 3849): nothing is sent to them.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


async def exposure(address: ServerAddress, subject: Subject) -> Finding:
    """Whether others than the gateway can reach this server."""
    check = Check.UPSTREAM_EXPOSED
    if address.path is not None:
        return _socket_exposure(Path(address.path), subject)
    found = await addresses_of(address.host, address.port)
    others = [each for each in found if not each.is_loopback]
    if not found:
        return subject.unknown(check, f"{address.host} can't be looked up")
    remedy = (
        "let it listen on 127.0.0.1 or on a unix socket (gunicorn --bind unix:/run/app.sock), or "
        "let the firewall or network policy admit the gateway alone"
    )
    if others:
        for each in others:
            if each.is_global:
                return subject.error(check, f"it listens on the public address {each}", remedy)
        return subject.warning(
            check,
            f"it listens on {others[0]}, so all of that network reach it past the gateway, unless "
            "something that can't be seen from here forbids it",
            remedy,
        )
    for each in own_addresses():
        if await _answers(str(each), address.port):
            say = subject.error if each.is_global else subject.warning
            return say(
                check,
                f"the configuration names {address.host}, but port {address.port} answers on "
                f"{each} too: it is bound to more than the loopback",
                remedy,
            )
    return subject.ok(check, f"port {address.port} answers on the loopback alone")


def _socket_exposure(path: Path, subject: Subject) -> Finding:
    try:
        mode = path.stat().st_mode
        is_open = mode & stat.S_IWOTH and _is_open_to_all(path.parent)
    except OSError as error:
        return subject.unknown(Check.UPSTREAM_EXPOSED, f"{path}: {error.strerror}")
    if is_open:
        return subject.info(
            Check.UPSTREAM_EXPOSED,
            f"every user of this machine may connect to the socket (mode {stat.S_IMODE(mode):o})",
            "start the server with --umask 007 and a group that only it and the gateway have",
        )
    return subject.ok(Check.UPSTREAM_EXPOSED, "a unix socket: no network leads to it")


def _is_open_to_all(directory: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (directory, *directory.parents))


def own_addresses() -> list[Address]:
    """The addresses of this machine from which it speaks with others."""
    found = []
    for family, elsewhere in _ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as leaving:
            leaving.connect((elsewhere, 9))
            found.append(ipaddress.ip_address(leaving.getsockname()[0].partition("%")[0]))
    return [each for each in found if not each.is_loopback]


async def addresses_of(host: str, port: int) -> list[Address]:
    """What a name stands for; nothing where it can't be looked up."""
    loop = asyncio.get_running_loop()
    try:
        entries = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECTING):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True
