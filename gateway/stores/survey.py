"""What the servers of a store say of themselves: for people who look after them.

Rule: nothing is changed on them but the short-lived key by which `locate` finds out whether a
server takes writes.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from gateway.stores.address import Host, StoreAddress, read_address
from gateway.stores.link import converse
from gateway.stores.topology import finder_of, info

_SETTINGS = ("save", "bind", "protected-mode")


class Unsurveyed(Exception):
    """The store can't be asked; the text says why, without a password."""


@dataclass(frozen=True, slots=True)
class ServerReport:
    """One server that takes writes. A setting that it does not tell is absent."""

    name: str
    host: Host | None  # None behind a Unix socket
    told: Mapping[str, str]  # INFO
    settings: Mapping[str, str]  # CONFIG GET
    ahead: float  # seconds of its clock, by the middle of the round trip
    is_open: bool  # whether it answers who names no password


async def survey(
    url: str, *, key_prefix: str, timeout: float, wall: Callable[[], float]
) -> list[ServerReport]:
    """All servers of the store at this URL that take writes; raises Unsurveyed."""
    address = read_address(url)
    finder = finder_of(address, key_prefix=key_prefix, timeout=timeout)
    try:
        topology = await finder.locate()
        hosts = [_host_of(node.name, address) for node in topology.nodes]
        await topology.close()
        return [await _report(address, host, timeout=timeout, wall=wall) for host in hosts]
    except TimeoutError as error:
        raise Unsurveyed(f"no answer within {timeout:g} s") from error
    except (RedisError, OSError) as error:
        raise Unsurveyed(str(error) or type(error).__name__) from error


async def answers_without_password(host: Host, *, timeout: float) -> bool:
    """Whether a server is there that takes PING from anybody."""
    anybody = StoreAddress(read_address("redis://localhost").layout, (host,))
    try:
        return await _is_open(anybody, host, timeout=timeout)
    except (RedisError, OSError, TimeoutError):
        return False


async def _report(
    address: StoreAddress, host: Host | None, *, timeout: float, wall: Callable[[], float]
) -> ServerReport:
    connection = address.connection(host, timeout=timeout)
    before = wall()
    commands = [("TIME",), ("INFO",), *(("CONFIG", "GET", name) for name in _SETTINGS)]
    answers = await _asked(connection, *commands, timeout=timeout)
    clock, said, *settings = answers
    after = wall()
    if isinstance(clock, ResponseError) or isinstance(said, ResponseError):
        raise clock if isinstance(clock, ResponseError) else said
    return ServerReport(
        name=f"{host[0]}:{host[1]}" if host else address.path,
        host=host,
        told=info(said),
        settings={
            answer[0].decode(): answer[1].decode()
            for answer in settings
            if isinstance(answer, list) and len(answer) == 2
        },
        ahead=int(clock[0]) + int(clock[1]) / 1e6 - (before + after) / 2,
        is_open=await _is_open(address, host, timeout=timeout),
    )


async def _is_open(address: StoreAddress, host: Host | None, *, timeout: float) -> bool:
    anybody = StoreAddress(
        address.layout,
        address.hosts,
        path=address.path,
        is_encrypted=address.is_encrypted,
        ca_certs=address.ca_certs,
    )
    try:
        (answer,) = await _asked(
            anybody.connection(host, timeout=timeout), ("PING",), timeout=timeout
        )
    except RedisError:  # refused before it could ask: protected mode
        return False
    return not isinstance(answer, ResponseError)


async def _asked(
    connection: AbstractConnection, *commands: tuple[str, ...], timeout: float
) -> list[Any]:
    try:
        async with asyncio.timeout(timeout):
            await connection.connect()  # type: ignore[no-untyped-call]
            return await converse(connection, *commands)
    finally:
        await connection.disconnect(nowait=True)


def _host_of(name: str, address: StoreAddress) -> Host | None:
    if address.path:
        return None
    host, _, port = name.rpartition(":")
    return host, int(port)
