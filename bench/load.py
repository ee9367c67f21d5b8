"""The load: distinct access tokens, sent by wrk over many connections, and what came of it."""

import json
import random
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import jwt

from bench.processes import BenchError, PinnedProcess, core_busy_seconds, pinned

SCRIPT = Path(__file__).with_name("tokens.lua")
TOKEN_LIFETIME_SECONDS = 24 * 3600
GRACE_SECONDS = 30
PATH = "/api/items/?page=2"


@dataclass(frozen=True, slots=True)
class Load:
    connections: int
    seconds: int
    tokens: Path


@dataclass(frozen=True, slots=True)
class Round:
    """What one peer did in one round."""

    requests: int
    requests_per_second: float
    cpu_us_per_request: float
    p50_ms: float
    p99_ms: float
    failures: int  # answers other than 2xx/3xx, and requests without an answer
    peer_core_share: float  # of one core, used by the peer
    others_core_share: float  # of the same core, used by anybody else


def access_tokens(count: int, *, signing_key: str, now: int, seed: int = 1) -> list[str]:
    """Distinct tokens in the shape of djangorestframework-simplejwt, HS256."""
    rng = random.Random(seed)
    return [
        jwt.encode(
            {
                "token_type": "access",
                "exp": now + TOKEN_LIFETIME_SECONDS,
                "iat": now,
                "jti": uuid.UUID(int=rng.getrandbits(128), version=4).hex,
                "user_id": str(number),
            },
            signing_key,
            algorithm="HS256",
        )
        for number in range(1, count + 1)
    ]


def run_round(
    process: PinnedProcess, port: int, load: Load, *, peer_core: int, load_core: int
) -> Round:
    """Loads the peer once and settles its CPU account against the requests it completed."""
    process.require_alive()
    cpu, busy, began = process.cpu_seconds(), core_busy_seconds(peer_core), time.monotonic()
    counted = _wrk(f"http://127.0.0.1:{port}{PATH}", load, core=load_core)
    elapsed = time.monotonic() - began
    cpu = process.cpu_seconds() - cpu
    busy = core_busy_seconds(peer_core) - busy
    process.require_alive()

    requests = counted["requests"]
    if not requests:
        raise BenchError(f"{process.name} answered no request in {load.seconds} s")
    return Round(
        requests=requests,
        requests_per_second=requests / (counted["duration_us"] / 1e6),
        cpu_us_per_request=cpu * 1e6 / requests,
        p50_ms=counted["p50_us"] / 1000,
        p99_ms=counted["p99_us"] / 1000,
        failures=counted["refused"] + counted["broken"],
        peer_core_share=cpu / elapsed,
        others_core_share=max(0.0, busy - cpu) / elapsed,
    )


def _wrk(url: str, load: Load, *, core: int) -> dict[str, int]:
    command = ["wrk", "--threads", "1", "--connections", str(load.connections)]
    command += ["--duration", f"{load.seconds}s", "--timeout", "10s"]
    command += ["--script", str(SCRIPT), url, "--", str(load.tokens)]
    finished = subprocess.run(
        pinned(command, core=core),
        capture_output=True,
        text=True,
        timeout=load.seconds + GRACE_SECONDS,
        check=False,
    )
    if finished.returncode:
        raise BenchError(f"wrk failed: {finished.stderr.strip() or finished.stdout.strip()}")
    counted: dict[str, int] = json.loads(finished.stdout.strip().splitlines()[-1])
    return counted
