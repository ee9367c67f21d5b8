"""The loads: access tokens sent by wrk over some connections, and what came of it."""

import json
import random
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jwt

from bench.counters import counting_instructions
from bench.processes import BenchError, PinnedProcess, core_busy_seconds, pinned

SCRIPT = Path(__file__).with_name("tokens.lua")
TOKEN_LIFETIME_SECONDS = 24 * 3600
FRESH_TOKENS_PER_SECOND = 50_000  # more than a peer with a cache can verify
GRACE_SECONDS = 30
WARM_UP_SECONDS = 1  # of a peer without a cache; one with a cache has to take all tokens
LONGEST_WARM_UP = 20
WARM_UP_CONNECTIONS = 64
PATH = "/api/items/?page=2"


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk sends; `is_fresh` where each round brings tokens that no peer has seen."""

    name: str
    label: str
    connections: int = 64
    tokens: int = 10_000
    is_fresh: bool = False
    posted_bytes: int = 0


LOADS = {
    load.name: load
    for load in (
        Load("one-token", "One token, 64 connections", tokens=1),
        Load("many-tokens", "10,000 tokens, 64 connections"),
        Load("one-connection", "1 connection, 10,000 tokens", connections=1),
        Load("1000-connections", "1,000 connections, 10,000 tokens", connections=1000),
        Load("new-tokens", "Every request a new token, 64 connections", is_fresh=True),
        Load("posts", "4 KB posted, 64 connections, 1,000 tokens", tokens=1000, posted_bytes=4096),
    )
}


@dataclass(frozen=True, slots=True)
class Round:
    """What one peer did in one round."""

    requests: int
    requests_per_second: float
    cpu_us_per_request: float
    kernel_share: float  # of that CPU
    p50_ms: float
    p99_ms: float
    failures: int  # answers other than 2xx/3xx, and requests without an answer
    peak_memory: int  # bytes
    peer_core_share: float  # of one core, used by the peer
    others_core_share: float  # of the same core, used by anybody else
    instructions: float | None = None  # per request, where the machine counts them


class Tokens:
    """The files of tokens that wrk reads, written when first asked for."""

    def __init__(self, directory: Path, *, signing_key: str, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._signing_key = signing_key
        self._now = int(clock())
        self._fresh = 0

    def written(self, count: int) -> Path:
        """Always the same tokens for a count."""
        target = self._directory / f"{count}.tokens"
        if not target.exists():
            self._write(target, count, seed=1)
        return target

    def fresh(self, *, seconds: int) -> Path:
        """Tokens that were never sent before, enough for a round; the last ones are gone."""
        self._fresh += 1
        target = self._directory / "fresh.tokens"
        self._write(target, FRESH_TOKENS_PER_SECOND * seconds, seed=1 + self._fresh)
        return target

    def _write(self, target: Path, count: int, *, seed: int) -> None:
        tokens = access_tokens(count, signing_key=self._signing_key, now=self._now, seed=seed)
        target.write_text("\n".join(tokens) + "\n")


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
    process: PinnedProcess,
    port: int,
    load: Load,
    *,
    tokens: Path,
    seconds: int,
    peer_core: int,
    load_core: int,
    counts_instructions: bool = False,
) -> Round:
    """Loads the peer once and settles its CPU account against the requests it completed."""
    process.require_alive()
    process.empty_log()
    process.reset_peak_memory()
    cpu, began = process.cpu_time(), time.monotonic()
    busy = core_busy_seconds(peer_core)
    counting = counting_instructions(process.members(), is_possible=counts_instructions)
    with counting as counted:
        told = _wrk(
            f"http://127.0.0.1:{port}{PATH}", load, tokens=tokens, seconds=seconds, core=load_core
        )
    elapsed = time.monotonic() - began
    cpu = process.cpu_time().since(cpu)
    busy = core_busy_seconds(peer_core) - busy
    process.require_alive()

    requests = told["requests"]
    if not requests:
        raise BenchError(f"{process.name} answered no request in {seconds} s")
    if not cpu.total:
        raise BenchError(f"no CPU time of {process.name} was found: who did its work?")
    instructions = counted()
    return Round(
        requests=requests,
        requests_per_second=requests / (told["duration_us"] / 1e6),
        cpu_us_per_request=cpu.total * 1e6 / requests,
        kernel_share=cpu.system / cpu.total if cpu.total else 0.0,
        p50_ms=told["p50_us"] / 1000,
        p99_ms=told["p99_us"] / 1000,
        failures=told["refused"] + told["broken"],
        peak_memory=process.peak_memory(),
        peer_core_share=cpu.total / elapsed,
        others_core_share=max(0.0, busy - cpu.total) / elapsed,
        instructions=None if instructions is None else instructions / requests,
    )


def warm_up(
    name: str,
    port: int,
    load: Load,
    *,
    tokens: Path,
    core: int,
    caches: int,
) -> None:
    """Sends the load's tokens before they are timed, so that no round times what another forgot.

    `caches` is how many caches of tokens the peer has. One that has some takes all tokens, several
    times where it has several; one that has none as many as it can in a moment.
    """
    requests = load.tokens * caches**2 + 2 * WARM_UP_CONNECTIONS  # the last are left unanswered
    told = _wrk(
        f"http://127.0.0.1:{port}{PATH}",
        replace(load, connections=WARM_UP_CONNECTIONS),
        tokens=tokens,
        seconds=LONGEST_WARM_UP if caches else WARM_UP_SECONDS,
        core=core,
        most=requests,
    )
    if caches and told["requests"] < requests:
        raise BenchError(f"{name} did not take all tokens in {LONGEST_WARM_UP} s")


def _wrk(
    url: str, load: Load, *, tokens: Path, seconds: int, core: int, most: int = 0
) -> dict[str, int]:
    """What wrk counted; it ends early where `most` requests were sent."""
    command = ["wrk", "--threads", "1", "--connections", str(load.connections)]
    command += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(SCRIPT), url]
    command += ["--", str(tokens), str(load.posted_bytes), str(most)]
    finished = subprocess.run(
        pinned(command, core=core),
        capture_output=True,
        text=True,
        timeout=seconds + GRACE_SECONDS,
        check=False,
    )
    if finished.returncode:
        raise BenchError(f"wrk failed: {finished.stderr.strip() or finished.stdout.strip()}")
    counted: dict[str, int] = json.loads(finished.stdout.strip().splitlines()[-1])
    return counted
