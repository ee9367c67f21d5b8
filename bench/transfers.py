"""Large bodies: one file fetched and one file put through each peer by curl, in MB/s."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, pinned

TRANSFERS = "transfers"  # the name of this load
DIRECT = "direct"  # the name of a transfer straight to the upstream
MEGABYTE = 1_000_000
LIMIT_SECONDS = 120
WRITE_OUT = (
    '{"status": %{http_code}, "down": %{size_download}, "up": %{size_upload}, '
    '"down_rate": %{speed_download}, "up_rate": %{speed_upload}}'
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Megabytes (10^6 bytes) a second, each way."""

    down: float
    up: float


def run_transfer(
    name: str, port: int, token: str, *, payload: Path, received: Path, core: int
) -> Transfer:
    """`payload` is fetched from /download/ and put to /upload/, where it arrives as `received`."""
    origin, size = f"http://127.0.0.1:{port}", payload.stat().st_size

    down = _curl([f"{origin}/download/{payload.name}"], token, core=core)
    if (down["status"], down["down"]) != (200, size):
        raise BenchError(f"{name}: download of {size} bytes gave {down}")

    received.unlink(missing_ok=True)
    upload = ["--upload-file", str(payload), f"{origin}/upload/{received.name}"]
    up = _curl([*upload, "--header", "Expect:"], token, core=core)
    arrived = received.stat().st_size if received.exists() else 0
    if (up["status"], arrived) != (201, size):
        raise BenchError(f"{name}: upload of {size} bytes gave {up}, {arrived} bytes arrived")

    return Transfer(down=down["down_rate"] / MEGABYTE, up=up["up_rate"] / MEGABYTE)


def _curl(arguments: list[str], token: str, *, core: int) -> dict[str, float]:
    command = ["curl", "--silent", "--show-error", "--output", "/dev/null"]
    command += ["--max-time", str(LIMIT_SECONDS), "--write-out", WRITE_OUT]
    command += ["--header", f"Authorization: Bearer {token}", *arguments]
    finished = subprocess.run(
        pinned(command, core=core),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS + 10,
    )
    if finished.returncode:
        raise BenchError(f"curl failed: {finished.stderr.strip()}")
    told: dict[str, float] = json.loads(finished.stdout)
    return told
