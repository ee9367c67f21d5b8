"""`gateway init` on a project with django-cors-headers."""

from pathlib import Path

import pytest

from gateway.cli import main
from tests.init.conftest import Project
from tests.init.test_jwt import URLS

MIDDLEWARE = 'MIDDLEWARE.insert(0, "corsheaders.middleware.CorsMiddleware")\n'


@pytest.fixture
def project(directory: Path, drf_jwt: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    return Project(directory, drf_jwt, capsys)


def test_its_settings_hold_on_every_route(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(
        settings=MIDDLEWARE + 'CORS_ALLOWED_ORIGINS = ["https://app.example.org"]\n'
        'CORS_ALLOW_CREDENTIALS = True\nCORS_EXPOSE_HEADERS = ["X-Total"]',
        urls=URLS,
    )
    done = project.init()
    assert done.said == ""
    for route in done.config["routes"]:
        assert route["cors"] == {
            "origins": ["https://app.example.org"],
            "headers": [
                "accept", "authorization", "content-type", "user-agent", "x-csrftoken",
                "x-requested-with",
            ],
            "methods": ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"],
            "expose_headers": ["X-Total"],
            "credentials": True,
            "max_age": "1d",
        }  # fmt: skip
    file = project.directory / "config.yaml"
    file.write_text(done.text)
    assert main(["check", "--config", str(file)]) == 0
    assert capsys.readouterr() == ("ok\n", "")


def test_all_origins_may_be_all_origins(project: Project) -> None:
    project.write(settings=f"{MIDDLEWARE}CORS_ALLOW_ALL_ORIGINS = True", urls=URLS)
    assert project.init().config["routes"][0]["cors"]["origins"] == ["*"]


UNSAYABLE = {
    "by expression": 'CORS_ALLOWED_ORIGIN_REGEXES = [r"^https://.*$"]',
    "all with credentials": "CORS_ALLOW_ALL_ORIGINS = CORS_ALLOW_CREDENTIALS = True",
    "some paths": 'CORS_ALLOW_ALL_ORIGINS = True\nCORS_URLS_REGEX = r"^/api/.*$"',
}


@pytest.mark.parametrize("settings", UNSAYABLE.values(), ids=UNSAYABLE)
def test_what_can_not_be_said_is_left_to_the_app_with_a_warning(
    project: Project, settings: str
) -> None:
    project.write(settings=MIDDLEWARE + settings, urls=URLS)
    done = project.init()
    assert "cors" not in done.config["routes"][0]
    assert "warning: django-cors-headers answers pages of other origins" in done.said


@pytest.mark.parametrize("settings", ["", MIDDLEWARE], ids=["not there", "without origins"])
def test_a_project_without_origins_needs_none(project: Project, settings: str) -> None:
    project.write(settings=settings, urls=URLS)
    done = project.init()
    assert "cors" not in done.config["routes"][0]
    assert done.said == ""
