"""Follows the log of revocations: each bucket's stream by a connection of its own.

Rules
- The sink gets confirmed when all streams have been read to their ends since the last time.
- A connection that comes back goes on by the last id; where the server is another one (replication
  id), or has forgotten (its last id is older), everything is read anew.
- While a cluster moves a slot, its log is read where it is now (ASK), and then where it stays.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, MovedError, ResponseError

from gateway.stores.base import Kind, Revocation, RevocationSink
from gateway.stores.breaker import AWAY, Breaker
from gateway.stores.link import converse, taken
from gateway.stores.refusals import is_away
from gateway.stores.scripts import ASKING, Command
from gateway.stores.topology import Finder, Topology, info

_LOG = logging.getLogger("gateway.stores")

BLOCK = 500  # milliseconds
CHUNK = 1000  # entries: a few milliseconds of the event loop
MOST_SKEW = 1.5  # seconds between the server's clock and ours, beyond which it is told
RETRY_PAUSE = 1.0
REDIRECTED_PAUSE = 0.02

_KINDS = {kind.value: kind for kind in Kind}
_START = (0, 0)
_NOTHING: tuple[Command, ...] = ()


class _Cursor:
    """How far one stream has been read."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.last = _START
        self.replication: str | None = None
        self.is_whole = False
        self.has_moved = False  # a cluster has named another server since

    def is_of_another(self, replication: Mapping[str, str]) -> bool:
        """Whether a server's history, by its INFO, is not the one that was read before."""
        if self.replication is None:
            return False
        if self.has_moved:
            # A slot that moves takes its log along. One who was promoted has a name for what was
            # before, and may lack the end of it.
            return replication.get("master_replid2") == self.replication
        return replication.get("master_replid", "") != self.replication


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
                await self._follow_in(cursor, topology)
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

    async def _follow_in(self, cursor: _Cursor, topology: Topology) -> None:
        """Follows the stream from server to server, where a cluster moves it."""
        node, before = topology.node_of(cursor.key), _NOTHING
        cursor.has_moved = False
        while True:
            try:
                async with node.dedicated() as connection:
                    await self._read_on(cursor, connection, before)
            except AskError as error:
                node = topology.redirected(error, self._finder)
                before = _NOTHING if isinstance(error, MovedError) else (ASKING,)
                cursor.has_moved = True
                await asyncio.sleep(REDIRECTED_PAUSE)  # for a moment each may name the other

    async def _read_on(
        self, cursor: _Cursor, connection: AbstractConnection, before: tuple[Command, ...]
    ) -> None:
        """Reads until something fails; `before` is said before each command on the stream."""
        ahead = await self._resume(cursor, connection, before)
        waits = False  # a view that may be stale is confirmed before anything is waited for
        while True:
            entries = await self._entries(cursor, connection, before, waits=waits)
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

    async def _resume(
        self, cursor: _Cursor, connection: AbstractConnection, before: tuple[Command, ...]
    ) -> float:
        """Decides where to go on; returns how far the server's clock is ahead of ours."""
        look: Command = ("XINFO", "STREAM", cursor.key)
        async with asyncio.timeout(self._timeout):
            told, *_, stream, clock = await converse(
                connection, ("INFO", "replication"), *before, look, ("TIME",)
            )
        newest = _START
        if isinstance(stream, AskError) or (isinstance(stream, ResponseError) and is_away(stream)):
            raise stream
        if not isinstance(stream, ResponseError):  # it is one where there is no stream
            fields = dict(zip(stream[::2], stream[1::2], strict=False))
            newest = _number(fields[b"last-generated-id"])
        replication = info(taken([told])[0])
        if cursor.is_of_another(replication) or newest < cursor.last:
            _LOG.warning("the store is another one than before: the log is read anew")
            cursor.last, cursor.is_whole = _START, False
            self._on_other_server()
        cursor.replication = replication.get("master_replid", "")
        seconds, micros = taken([clock])[0]
        ahead = int(seconds) + int(micros) / 1e6 - self._wall()
        if abs(ahead) > MOST_SKEW:
            _LOG.warning(
                "the store's clock is %.1f s %s this host's, and tokens carry times: "
                "let NTP set both",
                abs(ahead),
                "ahead of" if ahead > 0 else "behind",
            )
        return ahead

    async def _entries(
        self,
        cursor: _Cursor,
        connection: AbstractConnection,
        before: tuple[Command, ...],
        *,
        waits: bool,
    ) -> list[Any]:
        last = f"{cursor.last[0]}-{cursor.last[1]}"
        block: Command = ("BLOCK", BLOCK) if waits else ()
        command = ("XREAD", "COUNT", CHUNK, *block, "STREAMS", cursor.key, last)
        async with asyncio.timeout(self._timeout + (BLOCK / 1000 if waits else 0)):
            answer = taken(await converse(connection, *before, command))[-1]
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
