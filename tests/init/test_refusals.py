"""What stops `gateway init`, in a sentence each; secrets are in none of them."""

import re
import stat
import venv
from pathlib import Path

import pytest

from tests.init.conftest import SECRET_KEY, Project
from tests.init.test_simplejwt import URLS

HUSH = "this-must-not-be-told-0123456789"

RAISING = {
    "a message": (f'raise ValueError("{HUSH}")', r"shop/settings\.py:\d+: ValueError \("),
    "a missing variable": (
        'os.environ["SHOP_MISSING"]',
        r"shop/settings\.py:\d+: the environment variable SHOP_MISSING is not set",
    ),
    "a missing key": (f'{{}}["{HUSH}"]', r"shop/settings\.py:\d+: KeyError \("),
    "an exit": (f'raise SystemExit("{HUSH}")', r"shop/settings\.py:\d+: SystemExit \("),
    "a syntax error": (f'"{HUSH}" = 1', r"shop/settings\.py:\d+: SyntaxError \("),
    "a package that is not there": (
        "import no_such_package", "needs the package no_such_package, which this Python lacks"
    ),
    "what it prints": (
        f'import sys; print("{HUSH}"); print("{HUSH}", file=sys.stderr); raise OSError("{HUSH}")',
        r"shop/settings\.py:\d+: OSError \(",
    ),
    "a setting that the package refuses": (
        f'SIMPLE_JWT = {{"SIGNING_KEY": "{HUSH}", "AUTH_TOKEN_CLASSES": ["{HUSH}.No"]}}',
        r": ImportError \(",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "sentence"), RAISING.values(), ids=RAISING)
def test_settings_that_raise_are_told_by_place_and_type(
    project: Project, settings: str, sentence: str
) -> None:
    project.write(settings=settings, urls=URLS)
    done = project.init()
    assert (done.code, done.text) == (1, "")
    assert done.said.startswith("gateway init: ")
    assert re.search(sentence, done.said), done.said
    assert HUSH not in done.said
    assert SECRET_KEY not in done.said


def test_what_the_project_prints_is_not_in_the_file(project: Project) -> None:
    project.write(settings=f'print("{HUSH}")', urls=f'print("{HUSH}")\n{URLS}')
    done = project.init()
    assert done.code == 0
    assert HUSH not in done.text + done.said


def test_no_secret_of_a_whole_project_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", HUSH)
    project.write(
        settings=f'SIMPLE_JWT = {{"SIGNING_KEY": os.environ["SHOP_KEY"], "ISSUER": "id"}}\n'
        f'DATABASES["default"]["PASSWORD"] = "{HUSH[::-1]}"',
        urls=URLS,
    )
    done = project.init()
    assert done.issuer["signing_key"] == "${SHOP_KEY}"
    for secret in (HUSH, HUSH[::-1], SECRET_KEY):
        assert secret not in done.text + done.said


def test_a_module_that_is_not_there(project: Project) -> None:
    done = project.init(module="elsewhere.settings")
    assert done.code == 1
    assert "there is no module elsewhere in " in done.said
    assert "--path" in done.said


def test_a_directory_that_is_not_there(project: Project, tmp_path: Path) -> None:
    done = project.init("--path", str(tmp_path / "gone"))
    assert (done.code, done.said) == (1, f"gateway init: {tmp_path / 'gone'}: no such directory\n")


def test_a_python_without_django(project: Project, tmp_path: Path) -> None:
    project.write(urls=URLS)
    venv.create(tmp_path / "empty")
    done = project.init("--python", str(tmp_path / "empty" / "bin" / "python"))
    assert done.code == 1
    assert "name the project's with --python PATH" in done.said


@pytest.mark.parametrize(
    ("script", "sentence"),
    [("#!/bin/sh\nexit 3\n", "ended with exit code 3"), (None, "can't run ")],
    ids=["no-python", "nothing"],
)
def test_what_is_no_python(
    project: Project, tmp_path: Path, script: str | None, sentence: str
) -> None:
    project.write(urls=URLS)
    python = tmp_path / "python"
    if script is not None:
        python.write_text(script)
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
    done = project.init("--python", str(python))
    assert done.code == 1
    assert sentence in done.said


@pytest.mark.parametrize("place", [".venv", "venv", "active"])
def test_the_projects_own_python_is_found(
    project: Project, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    home = tmp_path / place if place == "active" else project.directory / place
    if place == "active":
        monkeypatch.setenv("VIRTUAL_ENV", str(home))
    home.symlink_to(project.python.parents[1])
    project.write(urls=URLS)
    found = Project(project.directory, Path("unused"), project.capsys)
    assert found.init_by_itself().code == 0


def test_no_token_views(project: Project) -> None:
    project.write()
    done = project.init()
    assert (done.code, done.text) == (1, "")
    assert "no token views found: shop.urls has none" in done.said


def test_a_file_that_is_there_is_kept_but_for_force(project: Project, tmp_path: Path) -> None:
    project.write(urls=URLS)
    file = tmp_path / "config.yaml"
    file.write_text("mine")
    done = project.init("--output", str(file))
    assert (done.code, file.read_text()) == (1, "mine")
    assert done.said == f"gateway init: {file} is there already; --force replaces it\n"
    assert project.init("--output", str(file), "--force").code == 0
    assert file.read_text().startswith("# The gateway before shop")


def test_an_upstream_that_is_none(project: Project) -> None:
    project.write(urls=URLS)
    done = project.init("--output", "-", "--upstream", "https://app.example")
    assert done.code == 1
    assert "upstreams.shop.servers[0].url: https upstreams are not supported yet" in done.said
