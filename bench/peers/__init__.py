"""Who is measured, and how each is started; to add a peer, add it to `PEERS`.

Every peer forwards all it is asked to one upstream, as one process on one port.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Site:
    """Where one process of the run lives: its ports, the upstream's, its scratch directory."""

    port: int
    admin_port: int
    upstream_port: int
    scratch: Path
    signing_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        return {
            "BENCH_PORT": str(self.port),
            "BENCH_ADMIN_PORT": str(self.admin_port),
            "BENCH_UPSTREAM_PORT": str(self.upstream_port),
            "BENCH_SIGNING_KEY": self.signing_key,
        }


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    label: str
    command: Callable[[Site], list[str]]
    checks_tokens: bool = True
    is_python: bool = True
    readiness_path: str | None = None  # asked on the admin port
    packages: tuple[str, ...] = ()  # needed besides the gateway's own


def rendered(template: Path, site: Site, **values: str) -> Path:
    """Writes the template with its @NAMES@ filled in to the scratch directory."""
    text = template.read_text()
    known = {
        "PORT": str(site.port),
        "UPSTREAM_PORT": str(site.upstream_port),
        "SCRATCH": str(site.scratch),
        **values,
    }
    for name, value in known.items():
        text = text.replace(f"@{name}@", value)
    target = site.scratch / template.name
    target.write_text(text)
    return target


def nginx_command(configuration: Path) -> list[str]:
    scratch = str(configuration.parent)
    return ["nginx", "-p", scratch, "-e", "stderr", "-c", str(configuration)]


def _nginx(site: Site) -> list[str]:
    return nginx_command(rendered(HERE / "nginx.conf", site))


def _haproxy(site: Site) -> list[str]:
    configuration = rendered(HERE / "haproxy.cfg", site, SIGNING_KEY=site.signing_key)
    return ["haproxy", "-db", "-f", str(configuration)]


def _usual(site: Site) -> list[str]:
    return _uvicorn(site, "bench.peers.usual:app")


def _plain_asgi(site: Site) -> list[str]:
    return _uvicorn(site, "bench.peers.plain_asgi:app")


def _uvicorn(site: Site, app: str) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", app),
        *("--host", "127.0.0.1", "--port", str(site.port)),
        *("--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning"),
    ]


def _gateway(site: Site) -> list[str]:
    return [sys.executable, "-m", "gateway", "run", "--config", str(HERE.parent / "gateway.yaml")]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx", "nginx proxy_pass", _nginx, checks_tokens=False, is_python=False),
        Peer("haproxy", "HAProxy jwt_verify", _haproxy, is_python=False),
        # Where sniffio is missing, httpcore searches the disk for it several times a request,
        # which made this peer slower by a third: it is measured at its best.
        Peer("usual", "Starlette + httpx + PyJWT", _usual, packages=("sniffio",)),
        Peer("gateway", "gateway", _gateway, readiness_path="/readyz"),
        Peer("asgi", "gateway, ASGI lane under plain uvicorn", _plain_asgi),
    )
}
