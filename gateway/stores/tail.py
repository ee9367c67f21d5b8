"""Follows the log of revocations: each bucket's stream by a connection of its own.

Rules
- The sink gets confirmed when all streams have been read to their ends since the last time.
- A connection that comes back goes on by the last id; where the server is another one (replication
  id), or has forgotten (its last id is older), everything is read anew.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError, ResponseError

from gateway.stores.base import Kind, Revocation, RevocationSink
from gateway.stores.breaker import AWAY, Breaker
from gateway.stores.caller import is_away
from gateway.stores.link import converse, taken
from gateway.stores.scripts import Command
from gateway.stores.topology import Finder, Topology, info

_LOG = logging.getLogger("gateway.stores")

BLOCK = 500  # milliseconds
CHUNK = 1000  # entries: a few milliseconds of the event loop
MOST_SKEW = 1.5  # seconds between the server's clock and ours, beyond which it is told
RETRY_PAUSE = 1.0

_KINDS = {kind.value: kind for kind in Kind}
_START = (0, 0)


class _Cursor:
    """How far one stream has been read."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.last = _START
        self.replication: str | None = None
        self.is_whole = False


class Tail:
    """Tells `sink` what the streams at `keys` hold, and whatever comes. `run` until cancelled."""

    def __init__(
        self,
        keys: Sequence[str],
        breaker: Breaker,
        finder: Finder,
        *,
        sink: RevocationSink,
        timeout: float,
        wall: Callable[[], float],
        on_read: Callable[[], None],
        on_other_server: Callable[[], None],
    ) -> None:
        self._cursors = [_Cursor(key) for key in keys]
        self._breaker = breaker
        self._finder = finder
        self._sink = sink
        self._timeout = timeout
        self._wall = wall
        self._on_read = on_read
        self._on_other_server = on_other_server
        self._read: set[_Cursor] = set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for cursor in self._cursors:
                group.create_task(self._follow(cursor), name=f"tail {cursor.key}")

    async def _follow(self, cursor: _Cursor) -> None:
        while True:
            topology = await self._breaker.up()
            try:
                await self._follow_at(cursor, topology)
            except ResponseError as error:
                if is_away(error):
                    self._breaker.trip(topology, error)
                    continue
                _LOG.error("the log of revocations can't be read: %s", error)
                await asyncio.sleep(RETRY_PAUSE)
            except AWAY as error:
                self._breaker.trip(topology, error)
            except Exception:  # noqa: BLE001 - a background loop goes on
                _LOG.exception("the log of revocations can't be followed")
                await asyncio.sleep(RETRY_PAUSE)

    async def _follow_at(self, cursor: _Cursor, topology: Topology) -> None:
        """Returns when the stream has moved to another server."""
        try:
            async with topology.node_of(cursor.key).dedicated() as connection:
                await self._read_on(cursor, connection)
        except MovedError as error:
            topology.redirected(error, self._finder)

    async def _read_on(self, cursor: _Cursor, connection: AbstractConnection) -> None:
        ahead = await self._resume(cursor, connection)
        waits = False  # a view that may be stale is confirmed before anything is waited for
        while True:
            entries = await self._entries(cursor, connection, waits=waits)
            if entries:
                cursor.last = _number(entries[-1][0])
                lag = None
                if cursor.is_whole:
                    lag = max(0.0, self._wall() + ahead - cursor.last[0] / 1000)
                self._sink.apply(
                    [entry for _, fields in entries if (entry := read_entry(fields))], lag=lag
                )
            waits = len(entries) < CHUNK
            if waits:
                cursor.is_whole = True
                self._confirm(cursor)

    async def _resume(self, cursor: _Cursor, connection: AbstractConnection) -> float:
        """Decides where to go on; returns how far the server's clock is ahead of ours."""
        async with asyncio.timeout(self._timeout):
            told, stream, clock = await converse(
                connection, ("INFO", "replication"), ("XINFO", "STREAM", cursor.key), ("TIME",)
            )
        replication = info(taken([told])[0]).get("master_replid", "")
        newest = _START
        if isinstance(stream, MovedError) or (
            isinstance(stream, ResponseError) and is_away(stream)
        ):
            raise stream
        if not isinstance(stream, ResponseError):  # it is one where there is no stream
            fields = dict(zip(stream[::2], stream[1::2], strict=False))
            newest = _number(fields[b"last-generated-id"])
        if cursor.replication is not None and (
            replication != cursor.replication or newest < cursor.last
        ):
            _LOG.warning("the store is another one than before: the log is read anew")
            cursor.last, cursor.is_whole = _START, False
            self._on_other_server()
        cursor.replication = replication
        seconds, micros = taken([clock])[0]
        ahead = int(seconds) + int(micros) / 1e6 - self._wall()
        if abs(ahead) > MOST_SKEW:
            _LOG.warning(
                "the store's clock is %.1f s %s this host's, and tokens carry times: set them by NTP",
                abs(ahead),
                "ahead of" if ahead > 0 else "behind",
            )
        return ahead

    async def _entries(
        self, cursor: _Cursor, connection: AbstractConnection, *, waits: bool
    ) -> list[Any]:
        last = f"{cursor.last[0]}-{cursor.last[1]}"
        block: Command = ("BLOCK", BLOCK) if waits else ()
        command = ("XREAD", "COUNT", CHUNK, *block, "STREAMS", cursor.key, last)
        async with asyncio.timeout(self._timeout + (BLOCK / 1000 if waits else 0)):
            answer = taken(await converse(connection, command))[0]
        return list(answer[0][1]) if answer else []

    def _confirm(self, cursor: _Cursor) -> None:
        self._read.add(cursor)
        if len(self._read) == len(self._cursors) and all(each.is_whole for each in self._cursors):
            self._read.clear()
            self._sink.confirm()
            self._on_read()


def read_entry(fields: Sequence[bytes]) -> Revocation | None:
    """The revocation that an entry says; None for one that a later version wrote."""
    try:
        kind, issuer, until, since, generation, name = fields[1].decode().split("\t", 5)
        return Revocation(
            _KINDS[kind], issuer, name, int(until) / 1000, int(since) / 1000, int(generation)
        )
    except (ValueError, KeyError):
        return None


def _number(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
