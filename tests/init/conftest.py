"""The Pythons of real projects, and a small project to be written anew for each case."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.apps import STATE, Example, made_by_one
from examples.processes import Processes
from gateway.cli import main

SECRET_KEY = "a-key-of-the-project-that-must-not-be-told-anywhere-0123456789"

_SETTINGS = """\
from datetime import timedelta
import os

SECRET_KEY = os.environ["PROJECT_KEY"]
ALLOWED_HOSTS = ["api.example.org", ".example.net"]
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "rest_framework",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
STATIC_URL = "/static/"
USE_TZ = True
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `gateway init --output -` did."""

    code: int
    text: str
    said: str

    @property
    def config(self) -> Any:
        assert self.code == 0, self.said
        return yaml.safe_load(self.text)

    @property
    def issuer(self) -> Any:
        return self.config["issuers"]["shop"]

    @property
    def routes(self) -> dict[str, str]:
        return {route["path"]: route["auth"] for route in self.config["routes"]}


@dataclass(frozen=True, slots=True)
class Project:
    """A Django project in a directory of its own, and a Python that has its packages."""

    directory: Path
    python: Path
    capsys: pytest.CaptureFixture[str]

    def write(self, *, settings: str = "", urls: str = "urlpatterns = []") -> None:
        package = self.directory / "shop"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "settings.py").write_text(_SETTINGS + settings)
        (package / "urls.py").write_text(urls)

    def init(self, *options: str, module: str = "shop.settings") -> Outcome:
        """In the project's Python, the text on stdout unless `options` say otherwise."""
        return self.init_by_itself("--python", str(self.python), *options, module=module)

    def init_by_itself(self, *options: str, module: str = "shop.settings") -> Outcome:
        code = main(
            ["init", "--django-settings", module, "--path", str(self.directory),
             "--output", "-", *options]
        )  # fmt: skip
        return Outcome(code, *self.capsys.readouterr())


@pytest.fixture(scope="session")
def python_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Makes the environment of a sample app, which the demo keeps."""
    with Processes() as processes:

        def python(name: str) -> Path:
            example = Example(
                name,
                processes=processes,
                state=tmp_path_factory.mktemp(name),
                environments=STATE / "environments",
            )
            example.prepare()
            return example.python

        yield python


@pytest.fixture(scope="session")
def simplejwt(python_of: Callable[[str], Path]) -> Path:
    return python_of("accounts")


@pytest.fixture(scope="session")
def legacy(python_of: Callable[[str], Path]) -> Path:
    return python_of("employees")


@pytest.fixture(scope="session")
def drf_jwt() -> Path:
    """An environment that no sample app has, kept beside theirs."""
    requirements = Path(__file__).with_name("drf_jwt.txt")
    environment = STATE / "environments" / "drf-jwt"
    python, stamp = environment / "bin" / "python", environment / "installed"
    wanted = sys.version + requirements.read_text()
    with made_by_one(environment):
        if not stamp.exists() or stamp.read_text() != wanted:
            commands: list[list[str | Path]] = [
                [sys.executable, "-m", "venv", "--clear", environment],
                [python, "-m", "pip", "install", "--quiet", "--no-input",
                 "--disable-pip-version-check", "--requirement", requirements],
            ]  # fmt: skip
            for command in commands:
                subprocess.run(command, check=True, capture_output=True)
            stamp.write_text(wanted)
    return python


@pytest.fixture(autouse=True)
def _only_the_projects_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GATEWAY_", "DJANGO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PROJECT_KEY", SECRET_KEY)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
def project(directory: Path, simplejwt: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    """A project on simplejwt."""
    return Project(directory, simplejwt, capsys)
