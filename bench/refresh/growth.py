"""What sessions weigh in the store, after one refresh of each and after many."""

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import redis

from bench.processes import BenchError
from bench.refresh.load import first_tokens, run_client
from bench.refresh.peers import USERS, Contender

MANY = 300
DJANGO_SESSIONS = 25  # for MANY: each refresh of these takes milliseconds, and adds its rows
TABLES = ("token_blacklist_outstandingtoken", "token_blacklist_blacklistedtoken")


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes for each session."""

    label: str
    refreshes: int  # of each session
    sessions: int
    bytes_each: float
    whole_each: float  # by the growth of the server's whole memory, or of the whole file
    records: str


def weigh(contender: Contender, *, connections: int, core: int) -> list[Weight]:
    def refresh(sessions: int, times: int) -> None:
        tokens = first_tokens(sessions, contender.keys)
        counted = run_client(
            contender.port, tokens, connections=connections, core=core, refreshes_each=times
        )
        if counted["refreshes"] != sessions * times:
            raise BenchError(
                f"{contender.peer.name}: {counted['refreshes']} of {sessions * times} refreshes"
            )

    weighed = _weigh_valkey if contender.store_port else _weigh_sqlite
    return weighed(contender, refresh)


Refresh = Callable[[int, int], None]


def _weigh_valkey(contender: Contender, refresh: Refresh) -> list[Weight]:
    weights = []
    with contextlib.closing(redis.Redis(port=contender.store_port, protocol=2)) as client:
        for times in (1, MANY):
            client.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]
            before = _used_memory(client)
            refresh(USERS, times)
            keys = list(client.scan_iter(count=1000))
            total = sum(int(client.memory_usage(key, samples=0) or 0) for key in keys)
            grown = _used_memory(client) - before
            weights.append(
                Weight(
                    contender.peer.label,
                    times,
                    USERS,
                    total / USERS,
                    grown / USERS,
                    f"{len(keys):,} keys",
                )
            )
    return weights


def _used_memory(client: "redis.Redis") -> int:
    told = client.info("memory")
    return int(told["used_memory"]) - int(told["mem_clients_normal"])  # buffers come and go


def _weigh_sqlite(contender: Contender, refresh: Refresh) -> list[Weight]:
    weights = []
    for sessions, times in ((USERS, 1), (DJANGO_SESSIONS, MANY)):
        tables, whole, rows = _sqlite_size(contender)
        refresh(sessions, times)
        tables_after, whole_after, rows_after = _sqlite_size(contender)
        weights.append(
            Weight(
                contender.peer.label,
                times,
                sessions,
                (tables_after - tables) / sessions,
                (whole_after - whole) / sessions,
                f"{rows_after - rows:,} rows",
            )
        )
    return weights


def _sqlite_size(contender: Contender) -> tuple[int, int, int]:
    """Bytes of the blacklist app's tables with their indexes, of the whole file, and the rows.

    Of a copy made by VACUUM, so that no page is half empty by chance.
    """
    assert contender.database is not None
    copy = contender.database.with_suffix(".copy")
    copy.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(contender.database, timeout=20)) as live:
        live.execute("VACUUM INTO ?", (str(copy),))
    with contextlib.closing(sqlite3.connect(copy)) as database:
        of_tables = "SELECT name FROM sqlite_schema WHERE tbl_name IN (?, ?)"
        (tables,) = database.execute(
            f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({of_tables})", TABLES
        ).fetchone()
        rows = sum(
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES
        )
    return tables, copy.stat().st_size, rows
