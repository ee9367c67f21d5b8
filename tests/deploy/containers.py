"""Images really built and run, without a daemon: buildah and podman in a store of their own.

No registry is asked. The base is a Debian that `make build/base.tar` makes here, which stands for
the official one; what the images install comes by pip's own ways on this machine.
"""

import configparser
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("buildah", "podman", "runc", "mmdebstrap", "iptables")
BASE = "localhost/base:test"
IMAGE = "localhost/gateway:test"
_LIBRARIES = Path("/usr/lib/podman")
_SERVERS = """\
ARG BASE
FROM ${BASE}
RUN apt-get update -qq \\
    && apt-get install -qq --yes --no-install-recommends nginx-light redis-server \\
    && rm -f /etc/nginx/sites-enabled/* && mkdir -p /data && chown 999:1000 /data
CMD ["nginx", "-g", "daemon off;"]
"""


def lacking(directory: Path) -> str | None:
    """Why no container can be run here, with its files in `directory`."""
    if os.geteuid() != 0:
        return "containers are run by root here"
    absent = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    absent += [n for n in ("netavark", "aardvark-dns") if not (_LIBRARIES / n).exists()]
    if absent:
        return f"{', '.join(absent)} not found"
    return _no_overlay(directory)


def _no_overlay(directory: Path) -> str | None:
    lower, upper, work, merged = (directory / n for n in ("lower", "upper", "work", "merged"))
    for each in (lower, upper, work, merged):
        each.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    done = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, merged], capture_output=True, text=True
    )
    if done.returncode:
        return f"no overlay can be mounted in {directory}: {done.stderr.strip()}"
    subprocess.run(["umount", merged], check=True)
    return None


def _limit(number: int, most: int) -> str:
    """As much as may be set without the right to raise it, `most` at most."""
    hard = resource.getrlimit(number)[1]
    allowed = most if hard == resource.RLIM_INFINITY else min(hard, most)
    return f"{allowed}:{allowed}"


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@dataclass
class Containers:
    """A store of images and containers in `directory`."""

    directory: Path
    _mounted: dict[str, str] = field(init=False, default_factory=dict)  # while an image is built

    def prepare(self) -> None:
        """Writes the settings, and makes the base image."""
        (self.directory / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.directory}/graph"\n'
            f'runroot = "{self.directory}/run"\n'
        )
        files, processes = (
            _limit(resource.RLIMIT_NOFILE, 65536),
            _limit(resource.RLIMIT_NPROC, 4096),
        )
        (self.directory / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={files}", "nproc={processes}"]\n'
            'log_driver = "k8s-file"\n'
            '[network]\nnetwork_backend = "netavark"\n'
            f'network_config_dir = "{self.directory}/networks"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
            f'tmp_dir = "{self.directory}/libpod"\n'
        )
        self._mounted = self._index()
        self.run("make", "--silent", "build/base.tar")
        self.run("podman", "import", "--quiet", "build/base.tar", BASE)

    def make_image(self) -> None:
        """`make image`, which finds no Docker here."""
        options = " ".join([*self._options, "--tag", IMAGE])
        self.run("make", "--silent", "image", f"ARGS={options}", DOCKER_HOST="unix:///nowhere")

    def build(self, context: Path, tag: str, *options: str) -> None:
        command = ("buildah", "build", "--format", "docker")
        self.run(*command, *self._options, *options, "--tag", tag, str(context))

    @property
    def _options(self) -> list[str]:
        """What a build needs here."""
        return [
            *("--network=host", "--ulimit=nofile=1024:1024", f"--build-arg=BASE={BASE}"),
            *(f"--volume={here}:{there}:ro" for here, there in self._mounted.items()),
        ]

    def build_servers(self, tag: str) -> None:
        """Debian's nginx and Redis in one image, for the official ones of either."""
        context = self.directory / "servers"
        context.mkdir()
        (context / "Dockerfile").write_text(_SERVERS)
        self.build(context, tag)

    def run(self, *command: str, **more: str) -> str:
        """What a command prints; asserts that it succeeds."""
        done = self.attempt(*command, **more)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr}"
        return done.stdout.strip()

    def attempt(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment(more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def inspect(self, name: str, template: str) -> str:
        return self.run("podman", "inspect", "--format", template, name)

    def process(self, name: str) -> Path:
        """/proc of the first process in a container, as its host sees it."""
        return Path("/proc") / self.inspect(name, "{{.State.Pid}}")

    def assert_confined(self, name: str) -> None:
        """A running container has no root, no capability, nothing to gain, nothing to write to."""
        process = self.process(name)
        status = dict(ln.split(":", 1) for ln in (process / "status").read_text().splitlines())
        assert set(status["Uid"].split()) == {"65532"}
        assert {int(status[f"Cap{each}"], 16) for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {
            0
        }
        assert status["NoNewPrivs"].strip() == "1"
        mounts = [line.split() for line in (process / "mounts").read_text().splitlines()]
        (root,) = (options for _, place, _, options, *_ in mounts if place == "/")
        assert "ro" in root.split(",")

    def memory(self, name: str) -> dict[str, float]:
        """MB of a container's first process: "Rss", and "Pss", where shared pages count in part."""
        lines = (self.process(name) / "smaps_rollup").read_text().splitlines()[1:]
        return {ln.split(":")[0]: int(ln.split()[1]) * 1024 / 1e6 for ln in lines}

    def wait_until_healthy(self, name: str) -> None:
        """By the image's own HEALTHCHECK."""
        self.wait_until(
            lambda: self.attempt("podman", "healthcheck", "run", name).returncode == 0, of=name
        )

    def wait_until_logged(self, name: str, text: str) -> None:
        self.wait_until(lambda: text in self.logs(name), of=name)

    def wait_until(self, is_so: Callable[[], bool], *, of: str) -> None:
        """Asks again and again, for a minute at most; a failure shows the logs `of` a container."""
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline, self.logs(of)
            time.sleep(0.05)

    def logs(self, name: str) -> str:
        done = self.attempt("podman", "logs", name)
        return done.stdout + done.stderr

    def remove(self) -> None:
        """Stops and removes all of this store, and nothing else."""
        self.attempt("podman", "rm", "--all", "--force", "--depend", "--time", "5")
        self.attempt("podman", "network", "prune", "--force")
        self.attempt("umount", str(self.directory / "graph" / "overlay"))
        shutil.rmtree(self.directory, ignore_errors=True)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": _path(),
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
            "DISABLE_HC_SYSTEMD": "true",  # no timers: there may be no systemd
            **more,
        }

    def _index(self) -> dict[str, str]:
        """This machine's way to a package index, for the pip of a build."""
        told = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
        ).stdout
        known = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        settings = configparser.ConfigParser(interpolation=None)
        settings["global"] = {
            key.rpartition(".")[2]: value.strip("'")
            for key, value in known.items()
            if key.rpartition(".")[2] in ("index-url", "trusted-host", "proxy", "cert")
        }
        file = self.directory / "pip.conf"
        with file.open("w") as output:
            settings.write(output)
        authority = settings["global"].get("cert", "/etc/ssl/certs/ca-certificates.crt")
        mounted = {str(file): "/etc/pip.conf"}
        return {**mounted, authority: authority} if Path(authority).exists() else mounted
