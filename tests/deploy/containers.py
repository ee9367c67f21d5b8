"""Images really built and run, without a daemon: buildah and podman in a store of their own.

No registry is asked. The base is a Debian made here by mmdebstrap, which stands for the official
one; what the images install comes by pip's own ways on this machine.
"""

import configparser
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("buildah", "podman", "runc", "mmdebstrap", "iptables")
BASE = "localhost/base:test"
_LIBRARIES = Path("/usr/lib/podman")
_SERVERS = """\
ARG BASE
FROM ${BASE}
RUN apt-get update -qq \\
    && apt-get install -qq --yes --no-install-recommends nginx-light redis-server \\
    && rm -f /etc/nginx/sites-enabled/* && mkdir -p /data && chown 999:1000 /data
CMD ["nginx", "-g", "daemon off;"]
"""


def lacking() -> str | None:
    """Why no container can be run here."""
    if os.geteuid() != 0:
        return "containers are run by root here"
    absent = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    absent += [n for n in ("netavark", "aardvark-dns") if not (_LIBRARIES / n).exists()]
    return f"{', '.join(absent)} not found" if absent else None


def _release() -> str:
    """The release of this machine, whose packages it knows how to get."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@dataclass
class Containers:
    """A store of images and containers in `directory`."""

    directory: Path

    def prepare(self) -> None:
        """Writes the settings, and makes the base image."""
        (self.directory / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.directory}/graph"\n'
            f'runroot = "{self.directory}/run"\n'
        )
        # Limits that may be set anew without the right to raise them.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        (self.directory / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={most}:{most}", "nproc=4096:4096"]\n'
            'log_driver = "k8s-file"\n'
            '[network]\nnetwork_backend = "netavark"\n'
            f'network_config_dir = "{self.directory}/networks"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
        )
        base = self.directory / "base.tar"
        packages = "python3,python3-venv,ca-certificates"
        self.run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}",
                 _release(), str(base))  # fmt: skip
        self.run("podman", "import", "--quiet", str(base), BASE)
        base.unlink()

    def build(self, context: Path, tag: str, *options: str) -> None:
        self.run(
            *("buildah", "build", "--isolation", "chroot", "--network", "host"),
            *("--format", "docker", "--ulimit", "nofile=1024:1024", *self._index()),
            *("--build-arg", f"BASE={BASE}", *options, "--tag", tag, str(context)),
        )

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

    def wait_until_healthy(self, name: str) -> None:
        """By the image's own HEALTHCHECK."""
        deadline = time.monotonic() + 30
        while (done := self.attempt("podman", "healthcheck", "run", name)).returncode:
            assert time.monotonic() < deadline, done.stdout + self.logs(name)
            time.sleep(0.2)

    def logs(self, name: str) -> str:
        done = self.attempt("podman", "logs", name)
        return done.stdout + done.stderr

    def remove(self) -> None:
        """Stops and removes all of this store, and nothing else."""
        self.attempt("podman", "rm", "--all", "--force", "--time", "5")
        self.attempt("podman", "network", "prune", "--force")
        self.attempt("podman", "rmi", "--all", "--force")
        self.attempt("umount", str(self.directory / "graph" / "overlay"))
        shutil.rmtree(self.directory, ignore_errors=True)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": _path(),
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "DISABLE_HC_SYSTEMD": "true",  # no timers: there may be no systemd
            **more,
        }

    def _index(self) -> list[str]:
        """This machine's way to a package index, for the pip of a build."""
        told = subprocess.run(
            ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True
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
        volumes = {str(file): "/etc/pip.conf", authority: authority}
        return [f"--volume={here}:{there}:ro" for here, there in volumes.items()]
