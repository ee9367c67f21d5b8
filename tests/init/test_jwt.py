"""`gateway init` on drf-jwt, and on djangorestframework-jwt, from which it comes."""

from pathlib import Path
from typing import Any

import pytest

from tests.init.conftest import SECRET_KEY, Project

URLS = """
from django.urls import path
from rest_framework_jwt.views import obtain_jwt_token, refresh_jwt_token, verify_jwt_token

urlpatterns = [
    path("login/", obtain_jwt_token),
    path("refresh/", refresh_jwt_token),
    path("verify/", verify_jwt_token),
]
"""
OWN = """
def handler(*args, **kwargs):
    return {}
"""


@pytest.fixture(params=["drf-jwt", "djangorestframework-jwt"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(
    profile: str,
    directory: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> Project:
    python = request.getfixturevalue("drf_jwt" if profile == "drf-jwt" else "legacy")
    return Project(directory, python, capsys)


def test_the_packages_defaults_are_mapped(project: Project, profile: str) -> None:
    project.write(settings='JWT_AUTH = {"JWT_ALLOW_REFRESH": True}', urls=URLS)
    done = project.init()
    assert done.said == ""
    assert done.issuer == {
        "profile": profile,
        "profile_version": "1.19" if profile == "drf-jwt" else "1.11",
        "algorithm": "HS256",
        "signing_key": "${PROJECT_KEY}",
        "auth_header_types": ["Bearer"] if profile == "drf-jwt" else ["JWT"],
        "access_token_lifetime": "5m",
        "refresh_token_lifetime": "7d",
        "rotate_refresh_tokens": False,
        "endpoints": {
            "hosts": ["api.example.org", "example.net", "*.example.net"],
            "obtain": "/login/",
            "refresh": "/refresh/",
            "verify": "/verify/",
            "blacklist": None,
        },
    }


CHANGED: dict[str, tuple[str, str, Any]] = {
    "JWT_AUTH_HEADER_PREFIX": ('"SRI"', "auth_header_types", ["SRI"]),
    "JWT_EXPIRATION_DELTA": ("timedelta(minutes=30)", "access_token_lifetime", "30m"),
    "JWT_REFRESH_EXPIRATION_DELTA": ("timedelta(days=2)", "refresh_token_lifetime", "2d"),
    "JWT_LEEWAY": ("10", "leeway", "10s"),
    "JWT_AUDIENCE": ('"shop"', "audience", ["shop"]),
    "JWT_ISSUER": ('"id"', "issuer", "id"),
    "JWT_ALGORITHM": ('"HS384"', "algorithm", "HS384"),
    "JWT_SECRET_KEY": (
        '"another-key-of-the-project-with-40-bytes"', "signing_key", "${JWT_SIGNING_KEY}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_that_differs_is_said(project: Project, name: str) -> None:
    value, key, written = CHANGED[name]
    project.write(settings=f"JWT_AUTH = {{{name!r}: {value}}}\n", urls=URLS)
    done = project.init()
    assert done.issuer[key] == written
    assert "another-key" not in done.text + done.said


def test_a_refresh_that_is_off_stays_the_apps(project: Project) -> None:
    project.write(settings='JWT_AUTH = {"JWT_ALLOW_REFRESH": False}', urls=URLS)
    done = project.init()
    assert done.issuer["endpoints"]["refresh"] is None
    assert done.routes["=/refresh/"] == "none"
    assert "JWT_ALLOW_REFRESH is off" in done.said


@pytest.mark.parametrize("name", ["JWT_RESPONSE_PAYLOAD_HANDLER", "JWT_PAYLOAD_HANDLER"])
def test_a_handler_of_the_project_answers_for_itself(project: Project, name: str) -> None:
    project.write(settings=f'{OWN}JWT_AUTH = {{"{name}": "shop.settings.handler"}}', urls=URLS)
    done = project.init()
    assert done.issuer["endpoints"]["obtain"] == "/login/"
    assert done.issuer["endpoints"]["refresh"] is None
    assert done.issuer["endpoints"]["verify"] is None
    assert f"{name} is the project's own" in done.said


def test_a_token_in_a_cookie_is_never_asked_for_in_the_header(project: Project) -> None:
    project.write(
        settings='JWT_AUTH = {"JWT_AUTH_COOKIE": "token"}',
        urls=URLS
        + """
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView
from rest_framework_jwt.authentication import JSONWebTokenAuthentication

class Own(APIView):
    authentication_classes = [JSONWebTokenAuthentication]
    permission_classes = [IsAuthenticated]

urlpatterns.append(path("own/", Own.as_view()))
""",
    )
    done = project.init()
    assert "required" not in done.routes.values()
    assert "JWT_AUTH_COOKIE" in done.said


def test_a_key_for_each_user_is_refused(project: Project) -> None:
    project.write(
        settings=f'{OWN}JWT_AUTH = {{"JWT_GET_USER_SECRET_KEY": "shop.settings.handler"}}',
        urls=URLS,
    )
    done = project.init()
    assert (done.code, done.text) == (1, "")
    assert "a key for each user is not supported" in done.said
    assert SECRET_KEY not in done.said
