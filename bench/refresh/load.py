"""The load: keys, first tokens, and one run of the client against one contender."""

import json
import secrets
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.processes import BenchError, PinnedProcess, core_busy_seconds, pinned

PATH = "/api/token/refresh/"
LIFETIME_SECONDS = 24 * 3600
LONGEST_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Keys:
    """What one algorithm signs and verifies with; `verifying` is empty for HS256."""

    algorithm: str
    signing: str = field(repr=False)
    verifying: str = ""

    def environment(self) -> dict[str, str]:
        return {
            "BENCH_ALGORITHM": self.algorithm,
            "BENCH_SIGNING_KEY": self.signing,
            "BENCH_VERIFYING_KEY": self.verifying,
        }


@dataclass(frozen=True, slots=True)
class Round:
    """What one contender did in one round; CPU in microseconds for each refresh."""

    refreshes: int
    refreshes_per_second: float
    cpu_us: float  # of all its processes
    store_cpu_us: float  # the store's part of it
    p50_ms: float
    p99_ms: float
    failures: int
    core_share: float  # of the contender's core, used by it
    others_core_share: float  # … and by anybody else
    client_share: float  # of the client's core, used by the client


def hs256_keys() -> Keys:
    return Keys("HS256", secrets.token_hex(32))


def rs256_keys() -> Keys:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signing = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    verifying = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Keys("RS256", signing.decode(), verifying.decode())


def first_tokens(count: int, keys: Keys) -> list[str]:
    """Refresh tokens as simplejwt writes them, of the users 1, 2, 3 …"""
    now = int(time.time())
    return [
        jwt.encode(
            {
                "token_type": "refresh",
                "exp": now + LIFETIME_SECONDS,
                "iat": now,
                "jti": uuid.uuid4().hex,
                "user_id": str(number),
            },
            keys.signing,
            algorithm=keys.algorithm,
        )
        for number in range(1, count + 1)
    ]


def run_client(
    port: int,
    tokens: list[str],
    *,
    connections: int,
    core: int,
    seconds: float = LONGEST_SECONDS,
    refreshes_each: int = 0,
) -> dict[str, float]:
    """Refreshes each token's chain, for so long or so often; raises BenchError."""
    job = {
        "port": port,
        "path": PATH,
        "tokens": tokens,
        "connections": connections,
        "seconds": seconds,
        "refreshes_each": refreshes_each,
    }
    finished = subprocess.run(
        pinned([sys.executable, "-m", "bench.refresh.client"], core=core),
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if finished.returncode:
        raise BenchError(f"the client failed:\n{finished.stderr.strip()}")
    said = json.loads(finished.stdout)
    if said["first_refusal"]:
        print(f"  refused {said['refused']:.0f}, first: {said['first_refusal']}", flush=True)
    if not said["refreshes"]:
        raise BenchError(f"no refresh was answered: {said['first_refusal']}")
    counted: dict[str, float] = {k: v for k, v in said.items() if k != "first_refusal"}
    return counted


def run_round(
    processes: tuple[PinnedProcess, ...],
    port: int,
    keys: Keys,
    *,
    connections: int,
    seconds: float,
    peer_core: int,
    load_core: int,
) -> Round:
    """Loads a contender once; the first of its processes serves, the others are its store."""
    tokens = first_tokens(connections, keys)
    before = [process.cpu_seconds() for process in processes]
    busy, began = core_busy_seconds(peer_core), time.monotonic()
    counted = run_client(port, tokens, connections=connections, core=load_core, seconds=seconds)
    elapsed = time.monotonic() - began
    used = [each.cpu_seconds() - old for each, old in zip(processes, before, strict=True)]
    busy = core_busy_seconds(peer_core) - busy
    for process in processes:
        process.require_alive()
    refreshes = int(counted["refreshes"])
    return Round(
        refreshes=refreshes,
        refreshes_per_second=refreshes / counted["elapsed"],
        cpu_us=sum(used) * 1e6 / refreshes,
        store_cpu_us=sum(used[1:]) * 1e6 / refreshes,
        p50_ms=counted["p50_ms"],
        p99_ms=counted["p99_ms"],
        failures=int(counted["refused"] + counted["broken"]),
        core_share=sum(used) / counted["elapsed"],
        others_core_share=max(0.0, busy - sum(used)) / elapsed,
        client_share=counted["busy"],
    )
