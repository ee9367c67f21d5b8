"""Gets what the benchmark needs: Debian's packages where it may, and Fastify's from npm.

`python -m bench.install`. Python's packages come by the extra `bench`. What can't be had is told,
and only what the measurement itself needs is an error: without the rest a peer is absent.
"""

import os
import shutil
import subprocess
import sys

from bench.peers import HERE

REQUIRED = {"nginx": "nginx", "wrk": "wrk", "curl": "curl", "taskset": "util-linux"}
OPTIONAL = {"haproxy": "haproxy", "redis-server": "redis-server", "node": "nodejs", "npm": "npm"}
FASTIFY = HERE / "fastify"


def main() -> int:
    wanted = REQUIRED | OPTIONAL
    packages = sorted(package for tool, package in wanted.items() if shutil.which(tool) is None)
    if packages and not _install_debian(packages):
        print(f"bench: install these as root: apt-get install {' '.join(packages)}")
    if shutil.which("npm") and not (FASTIFY / "node_modules").is_dir():
        _install_fastify()
    missing = [tool for tool in REQUIRED if shutil.which(tool) is None]
    if missing:
        print(f"bench: can't measure without {', '.join(missing)}", file=sys.stderr)
    return bool(missing)


def _install_debian(packages: list[str]) -> bool:
    """Whether apt installed them; it isn't asked where neither root nor sudo is at hand."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    needed = ["apt-get", *as_root[:1]]
    if any(shutil.which(tool) is None for tool in needed):
        return False
    print(f"bench: installs {' '.join(packages)}", flush=True)
    install = ["install", "-qq", "--yes", "--no-install-recommends", *packages]
    return all(
        subprocess.run([*as_root, "apt-get", *arguments], check=False).returncode == 0
        for arguments in (["update", "-qq"], install)
    )


def _install_fastify() -> None:
    print("bench: installs Fastify", flush=True)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
    if subprocess.run(command, cwd=FASTIFY, check=False).returncode:
        print("bench: npm failed; Fastify will be absent")


if __name__ == "__main__":
    sys.exit(main())
