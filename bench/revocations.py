"""What a view of many revocations costs: memory, look-ups, and how long it holds the loop.

`python -m bench.revocations [ENTRIES]`
"""

import gc
import secrets
import statistics
import sys
import timeit
from collections.abc import Callable
from time import monotonic, perf_counter, time

from gateway.identity import Identity
from gateway.stores.base import Kind, Revocation
from gateway.tokens.revocation import RevocationView

ENTRIES = 1_000_000
BATCH = 1000  # entries that a store tells at a time
LIFE = 300.0
LOOK_UPS = 200_000


class Clock:
    """The time of day, which can be put forward."""

    ahead = 0.0

    def __call__(self) -> float:
        return time() + self.ahead


def resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    with open("/proc/self/status") as status:
        kilobytes = next(line for line in status if line.startswith("VmRSS")).split()[1]
    return int(kilobytes) * 1024


def timed(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def nanoseconds(look_up: Callable[[Identity], object], identity: Identity) -> float:
    """The best of five: what one look-up costs, its call included."""
    timer = timeit.Timer("look_up(identity)", globals={"look_up": look_up, "identity": identity})
    return min(timer.repeat(number=LOOK_UPS, repeat=5)) / LOOK_UPS * 1e9


def someone(session: str) -> Identity:
    return Identity(issuer="students", user_id="4711", expires_at=time() + LIFE, session_id=session)


def holds(times: list[float]) -> str:
    ordered = sorted(1000 * each for each in times)
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    return (
        f"median {statistics.median(ordered):.2f} ms, p99 {p99:.2f} ms, "
        f"longest {ordered[-1]:.2f} ms ({len(ordered)} times)"
    )


def main(entries: int) -> None:
    clock = Clock()
    view = RevocationView(
        max_staleness=30, on_outage="deny", is_local=False, monotonic=monotonic, wall=clock
    )
    view.confirm()
    print(f"look-up, nothing revoked      {nanoseconds(view.check, someone('a' * 32)):8.0f} ns")
    gc.collect()
    before, started = resident(), clock()
    session, applied = "", []
    for first in range(0, entries, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, entries)):
            session = secrets.token_hex(16)
            until = started + LIFE + number * LIFE / entries
            batch.append(Revocation(Kind.SESSION, "students", session, until))
        applied.append(timed(lambda told=batch: view.apply(told, lag=0.0)))  # type: ignore[misc]
    batch.clear()
    gc.collect()
    print(f"memory                        {(resident() - before) / entries:8.0f} bytes an entry")
    print(f"applying {BATCH} entries         {holds(applied)}")
    print(f"full garbage collection       {1000 * timed(gc.collect):8.1f} ms")
    print(f"look-up of another session    {nanoseconds(view.check, someone('a' * 32)):8.0f} ns")
    print(f"look-up of a revoked session  {nanoseconds(view.is_revoked, someone(session)):8.0f} ns")
    clock.ahead = 3 * LIFE
    sweeps: list[float] = []
    while len(view):
        sweeps.append(timed(view.sweep))
    print(f"sweeping them all             {holds(sweeps)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
