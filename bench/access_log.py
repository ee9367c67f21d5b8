"""What a line of the access log costs: `python -m bench.access_log`.

In the cost is all until the kernel has the line. One line after the other finds the processor's
caches full of what it needs; in a gateway other work comes between two lines, so that is measured
too, against the same work alone. The clock is the process's own, and the best of several repeats
is told: what else the machine does only adds.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Sequence

from gateway.request import RequestHead
from gateway.telemetry import access_log
from gateway.telemetry.access_log import BATCH, AccessLog
from gateway.telemetry.request_id import RequestIds

REPEATS, LINES = 25, 100 * BATCH
USERS, PATHS, DOCUMENTS = 1000, 200, 3000
NAMES = (b"host", b"accept", b"accept-language", b"authorization", b"cookie", b"user-agent")
HEADERS = tuple((name, b"x" * 40) for name in NAMES)

# What `AccessLog.add` takes.
Logged = tuple[RequestHead, bytes, int, str, float, float | None, int, int]


def requests(made: random.Random) -> Sequence[Logged]:
    ids = RequestIds(b"0123456789abcdef")
    users = [(str(user), f"{made.getrandbits(128):032x}") for user in range(USERS)]
    return [_request(made, ids, *made.choice(users)) for _ in range(LINES)]


def _request(made: random.Random, ids: RequestIds, user: str, session: str) -> Logged:
    target = f"/api/orders/{made.randrange(PATHS)}/?page={made.randrange(9)}".encode()
    request = RequestHead(
        "GET", target, target.partition(b"?")[0], b"", HEADERS,
        peer="10.0.0.7", client="203.0.113.9", route="/api/", user=user, session=session,
    )  # fmt: skip
    seconds = made.uniform(0.001, 0.2)
    return request, ids.new(), 200, "", seconds, seconds - 0.0002, made.randrange(9000), 0


def microseconds(turn: Callable[[int], object]) -> float:
    """Of one turn of many."""
    began = time.process_time_ns()
    for number in range(LINES):
        turn(number)
    return (time.process_time_ns() - began) / LINES / 1000


async def measure(form: str, write: Callable[[str], object]) -> str:
    made = random.Random(1)  # the same requests each time
    log = AccessLog(write, form=form, wall=time.time)
    logged = requests(made)
    documents = [
        json.dumps({f"{made.random()}": [made.random(), {}] for _ in range(9)})
        for _ in range(DOCUMENTS)
    ]

    def nothing(_number: int) -> None: ...

    def line(number: int) -> None:
        log.add(*logged[number])

    def work(number: int) -> None:
        json.dumps(json.loads(documents[number * 7 % DOCUMENTS]), sort_keys=True)

    def work_and_line(number: int) -> None:
        work(number)
        log.add(*logged[number])

    turns = (nothing, line, work, work_and_line)
    rounds = [[*map(microseconds, turns)] for _ in range(REPEATS)]
    least = [min(of_one_turn) for of_one_turn in zip(*rounds, strict=True)]
    log.close()
    return f"{least[1] - least[0]:.2f} µs a line, {least[3] - least[2]:.2f} between other work"


if __name__ == "__main__":
    kind = "pure" if access_log.__file__.endswith(".py") else "compiled"
    with open(os.devnull, "w", encoding="utf-8", buffering=1) as nowhere:
        for form in ("json", "text"):
            print(f"{kind}, {form}: {asyncio.run(measure(form, nowhere.write))}")
