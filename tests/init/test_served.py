"""A project under Gunicorn behind a gateway that runs with what `gateway init` wrote for it: the
same answers, whatever its settings say.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.apps import status_of
from examples.processes import Processes
from tests.init.conftest import Project
from tests.integration.exchange import JSON, Answer, Door, ask
from tests.integration.servers import serve_file

_SETTINGS = """
ALLOWED_HOSTS = ["localhost"]
DATABASES["default"]["NAME"] = os.path.join(os.path.dirname(__file__), "db.sqlite3")
WSGI_APPLICATION = "shop.wsgi.application"
"""
_WSGI = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
_PREPARE = """
import shop.wsgi
from django.core.management import call_command
from django.contrib.auth.models import User
call_command("migrate", verbosity=0)
User.objects.create_user("ana", password="pw")
"""
_VIEW = """
from django.urls import path
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

class Me(APIView):
    authentication_classes = [Reader]
    permission_classes = [IsAuthenticated]
    def get(self, request): return Response({"name": request.user.username})

class Anybody(Me):
    permission_classes = [AllowAny]

class Nobody(Anybody):
    authentication_classes = []

urlpatterns = [
    path("in/", Obtain.as_view()), path("again/", Refresh.as_view()),
    path("good/", Verify.as_view()), path("me/", Me.as_view()),
    path("anybody/", Anybody.as_view()), path("hook/", Nobody.as_view()),
]
"""
_PAIRS = (
    """
from rest_framework_simplejwt.authentication import JWTAuthentication as Reader
from rest_framework_simplejwt.views import (
    TokenObtainPairView as Obtain, TokenRefreshView as Refresh, TokenVerifyView as Verify
)
"""
    + _VIEW
)
_SLIDING = _PAIRS.replace("ObtainPair", "ObtainSliding").replace("Refresh", "RefreshSliding", 1)
_DRF_JWT = (
    """
from rest_framework_jwt.authentication import JSONWebTokenAuthentication as Reader
from rest_framework_jwt.views import (
    ObtainJSONWebTokenView as Obtain, RefreshJSONWebTokenView as Refresh,
    VerifyJSONWebTokenView as Verify
)
"""
    + _VIEW
)

_PASSWORD = b'{"username": "ana", "password": "pw"}'

PROJECTS = {
    "defaults": ("simplejwt", "", _PAIRS, ("Authorization", "Bearer")),
    "other names": (
        "simplejwt",
        """
SIMPLE_JWT = {
    "AUTH_HEADER_NAME": "HTTP_X_ACCESS_TOKEN", "AUTH_HEADER_TYPES": ("JWT", "Bearer"),
    "USER_ID_CLAIM": "sub", "TOKEN_TYPE_CLAIM": "use", "JTI_CLAIM": "id",
    "AUDIENCE": ["shop", "till"], "ISSUER": "https://id.example/$x", "LEEWAY": 5,
    "ALGORITHM": "HS384", "ACCESS_TOKEN_LIFETIME": timedelta(minutes=90),
}
""",
        _PAIRS,
        ("X-Access-Token", "JWT"),
    ),
    "rotation": (
        "simplejwt",
        'INSTALLED_APPS += ["rest_framework_simplejwt.token_blacklist"]\n'
        "SIMPLE_JWT = dict(ROTATE_REFRESH_TOKENS=True, BLACKLIST_AFTER_ROTATION=True)\n",
        _PAIRS,
        ("Authorization", "Bearer"),
    ),
    "sliding": (
        "simplejwt",
        'SIMPLE_JWT = {"AUTH_TOKEN_CLASSES": ["rest_framework_simplejwt.tokens.SlidingToken"]}\n',
        _SLIDING,
        ("Authorization", "Bearer"),
    ),
    "drf-jwt": ("drf_jwt", "", _DRF_JWT, ("Authorization", "Bearer")),
}


@pytest.fixture(scope="module")
def children() -> Iterator[Processes]:
    with Processes() as started:
        yield started


@pytest.fixture(params=PROJECTS)
def shop(
    request: pytest.FixtureRequest,
    directory: Path,
    children: Processes,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[tuple[Door, tuple[str, str]]]:
    """The project's own address and the gateway's, and how clients send a token."""
    environment, settings, urls, header = PROJECTS[request.param]
    project = Project(directory, request.getfixturevalue(environment), capsys)
    project.write(settings=_SETTINGS + settings, urls=urls)
    (directory / "shop" / "wsgi.py").write_text(_WSGI)
    env = {**os.environ, "GATEWAY_SERVER__PORT": "0", "GATEWAY_ADMIN__PORT": "0"}
    subprocess.run([project.python, "-c", _PREPARE], cwd=directory, env=env, check=True)
    gunicorn = children.start(
        "shop",
        [project.python, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket",
         "--threads", "4", "shop.wsgi"],
        log=directory / "gunicorn.log",
        cwd=directory,
        env=env,
    )  # fmt: skip
    found = gunicorn.wait_for(lambda: re.search(r"Listening at: (http://\S+)", gunicorn.output()))
    gunicorn.wait_for(lambda: status_of(found[1]))
    done = project.init("--upstream", found[1])
    assert (done.code, done.said) == (0, "")
    file = directory / "config.yaml"
    file.write_text(done.text)
    gateway = serve_file(file, children=children, env=env)
    yield Door(found[1], gateway.address), header
    gateway.process.stop()
    gunicorn.stop()


def shape(answer: Answer) -> tuple[Any, ...]:
    """What answers with tokens have in common: tokens and moments are their own."""
    told = {
        key: type(value) if key in ("pk", "access", "refresh", "token") else value
        for key, value in answer.json().items()
    }
    return answer.status, answer.header("Content-Type"), list(told.items())


def test_the_life_of_a_token_and_each_view_are_as_with_the_app_alone(
    shop: tuple[Door, tuple[str, str]],
) -> None:
    door, (name, word) = shop

    def both(target: str, **fields: str) -> tuple[Answer, Answer]:
        return door.both("POST", target, headers=[JSON], body=json.dumps(fields).encode())

    def alike(answers: tuple[Answer, Answer], status: set[int]) -> Any:
        assert shape(answers[1]) == shape(answers[0])
        assert answers[1].status in status
        return answers[1].json()

    successes = {200, 201}
    login = alike(both("/in/", username="ana", password="pw"), successes)
    access = login.get("access") or login["token"]
    field = "refresh" if "refresh" in login else "token"
    direct = ask(door.direct, "POST", "/in/", headers=[JSON], body=_PASSWORD).json()
    again = [  # each with a token of its own: where they rotate, one refreshes once
        ask(address, "POST", "/again/", headers=[JSON], body=json.dumps({field: token}).encode())
        for address, token in ((door.direct, direct[field]), (door.gateway, login[field]))
    ]
    refreshed = alike((again[0], again[1]), successes)
    fresh = refreshed.get("access") or refreshed["token"]
    for token in (access, fresh):
        alike(both("/good/", token=token), successes)
        for path in ("/me/", "/anybody/", "/hook/"):
            assert door.same("GET", path, headers=[(name, f"{word} {token}")]).status == 200
    for bad in ("x", f"{access[:-6]}AAAAAA"):
        for path in ("/me/", "/anybody/"):
            direct, through = door.both("GET", path, headers=[(name, f"{word} {bad}")])
            assert (direct.status, through.refusal) == (401, direct.refusal)
        assert door.same("GET", "/hook/", headers=[(name, f"{word} {bad}")]).status == 200
        alike(both("/good/", token=bad), {400, 401})
    for path, status in (("/me/", 401), ("/anybody/", 200), ("/hook/", 200), ("/gone/", 404)):
        direct, through = door.both("GET", path)
        assert (direct.status, through.refusal) == (status, direct.refusal)
