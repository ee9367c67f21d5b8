"""How long one read of a hostile client holds the event loop: `python -m tests.fuzz.holds`.

CPU time, the least of several runs: what else the machine does is left out.
"""

import tempfile
import time
from pathlib import Path

from tests.fuzz.harness import Harness

RUNS = 7
HOSTILE = {
    "100 fields of 300 bytes": b"".join(b"X-%d: %b\r\n" % (n, b"a" * 300) for n in range(98)),
    "16,000 fields of one byte": b"a:b\r\n" * 16_000,
    "25,000 fields that all differ": b"".join(b"a%d: b\r\n" % n for n in range(25_000)),
    "one field of 64 KiB": b"X: " + b"a" * 65_000 + b"\r\n",
    "64 KiB of blanks in a field": b"X: " + b" " * 65_000 + b"a\r\n",
    "64 KiB of commas in Connection": b"Connection: " + b"x," * 16_000 + b"\r\n",
    "Connection names each of 98 fields": b"Connection: "
    + b",".join(b"x-%d" % n for n in range(97))
    + b"\r\n"
    + b"".join(b"X-%d: 1\r\n" % n for n in range(97)),
    "16 KiB of X-Forwarded-For": b"X-Forwarded-For: " + b"1.2.3.4, " * 1800 + b"\r\n",
}
TARGETS = {
    "8 KiB of /..;": b"/..;" * 2000,
    "8 KiB of %25": b"/" + b"%25" * 2700,
    "8 KiB of slashes": b"/" * 8000,
    "8 KiB of %2e%2e/": b"/" + b"%2e%2e/" * 1100,
    "60 KiB of path": b"/" + b"a" * 60_000,
    "8 KiB of query": b"/?" + b"&a=b" * 1990,
}
WHOLE = {
    "256 KiB of pipelined requests": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 9_700,
    "256 KiB of chunks of one byte": b"POST / HTTP/1.1\r\nHost: a\r\n"
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"1\r\na\r\n" * 43_000,
    "256 KiB of garbage": b"\x16\x03\x01" * 85_000,
    "256 KiB of empty lines": b"\r\n" * 128_000,
}


def main() -> None:
    heads = {
        name: b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % field for name, field in HOSTILE.items()
    }
    heads |= {
        name: b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target for name, target in TARGETS.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in (heads | WHOLE).items():
            held = [
                min(_held(Path(scratch), data, is_fast=is_fast) for _ in range(RUNS)) * 1000
                for is_fast in (True, False)
            ]
            print(f"{name:40} {held[0]:6.2f} ms  ASGI lane {held[1]:6.2f} ms", flush=True)


def _held(scratch: Path, data: bytes, *, is_fast: bool) -> float:
    harness = Harness(scratch)  # a new one, which has seen none of these lines
    longest = 0.0

    def timed(read: bytes) -> None:
        nonlocal longest
        start = time.process_time()
        harness.received(read)
        longest = max(longest, time.process_time() - start)

    harness.run([data], is_fast=is_fast, on_read=timed)
    harness.close()
    return longest


if __name__ == "__main__":
    main()
