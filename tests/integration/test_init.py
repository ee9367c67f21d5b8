"""`gateway init` on the three sample apps: what it writes passes the check, and serves each app as
it is, login, refresh, verify and calls answered as by the app itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from examples.processes import Processes
from tests.integration.exchange import JSON, Answer, Door, ask, authorization
from tests.integration.servers import ROOT, RunningApp, RunningGateway, serve_file


@dataclass(frozen=True, slots=True)
class Sample:
    """One app, as its clients know it."""

    login: str
    refresh: str
    verify: str
    password: Mapping[str, str]
    call: str
    prefix: str
    others: tuple[str, ...] = ()  # paths that are no call of the API

    def tokens(self, answer: Answer) -> tuple[str, str]:
        """The token for calls, and the one that refreshes."""
        told = answer.json()
        return told.get("access") or told["token"], told.get("refresh") or told["token"]

    @property
    def refresh_field(self) -> str:
        return "token" if self.prefix == "SRI" else "refresh"


PAGES = ("/admin/login/", "/admin", "/static/admin/css/base.css", "/nothing/here/", "/")
SAMPLES = {
    "students": Sample(
        "/gettoken/", "/refreshtoken/", "/verifytoken/",
        {"username": "user1", "password": "#beta123"}, "/studentapi/", "Bearer",
        ("/studentapi", "/studentapi.json", "/?format=json"),
    ),
    "accounts": Sample(
        "/api/token/", "/api/token/refresh/", "/api/token/verify/",
        {"username": "shoumitro", "password": "Ab12345678"}, "/api/user/", "Bearer",
        ("/api/user", "/hello/nobody/", "/api/"),
    ),
    "employees": Sample(
        "/api-token-auth/", "/api-token-refresh/", "/api-token-verify/",
        {"username": "Srinivas", "password": "admin123"}, "/api/emp/", "SRI",
        ("/api/", "/api/emp"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """A sample app behind a gateway that runs with what `gateway init` wrote for it."""

    sample: Sample
    app: RunningApp
    gateway: RunningGateway
    env: Mapping[str, str]

    @property
    def door(self) -> Door:
        return Door(self.app.address, self.gateway.address)

    def both(self, target: str, **fields: str) -> tuple[Answer, Answer]:
        return self.door.both("POST", target, headers=[JSON], body=json.dumps(fields).encode())

    def bearer(self) -> tuple[str, str]:
        answer = ask(
            self.gateway.address, "POST", self.sample.login,
            headers=[JSON], body=json.dumps(self.sample.password).encode(),
        )  # fmt: skip
        return authorization(f"{self.sample.prefix} {self.sample.tokens(answer)[0]}")


def gateway_command(*arguments: object, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, arguments)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module", params=SAMPLES)
def served(
    request: pytest.FixtureRequest, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Served:
    app: RunningApp = request.getfixturevalue(request.param)
    state = app.example.state
    env = {
        **os.environ,
        "DJANGO_SECRET_KEY": app.secret_file.read_text(),
        "JWT_PRIVATE_KEY_FILE": str(state / "private.pem"),
        "JWT_PUBLIC_KEY_FILE": str(state / "public.pem"),
        "GATEWAY_SERVER__PORT": "0",
        "GATEWAY_ADMIN__PORT": "0",
    }
    file = tmp_path_factory.mktemp("init") / "config.yaml"
    done = gateway_command(
        "init", "--django-settings", "project.settings", "--path", app.example.sources,
        "--python", app.example.python, "--upstream", app.address, "--output", file, env=env,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return Served(SAMPLES[request.param], app, serve_file(file, children=children, env=env), env)


def shape(answer: Answer) -> tuple[Any, ...]:
    """What an answer with tokens has in common with another one."""
    told = answer.json()
    kept = {
        name: "(token)" if str(value).startswith("eyJ") else value for name, value in told.items()
    }
    return answer.status, answer.header("Content-Type"), list(kept.items())


def test_what_is_written_passes_the_check(served: Served) -> None:
    done = gateway_command("check", "--config", served.gateway.file, env=served.env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_no_secret_is_written(served: Served) -> None:
    text = served.gateway.file.read_text()
    assert served.app.secret_file.read_text() not in text
    for pem in served.app.example.state.glob("*.pem"):
        assert not {line for line in pem.read_text().splitlines() if line in text}


def test_the_life_of_a_token_is_as_with_the_app_alone(served: Served) -> None:
    sample = served.sample
    logins = served.both(sample.login, **sample.password)
    assert shape(logins[1]) == shape(logins[0])
    access, refresh = sample.tokens(logins[1])
    for _ in range(2):  # the app does not rotate, so a client may keep its first token
        refreshed = served.both(sample.refresh, **{sample.refresh_field: refresh})
        assert shape(refreshed[1]) == shape(refreshed[0])
        assert refreshed[1].status == 200
    told = refreshed[1].json()
    fresh = told.get("access") or told["token"]
    for token in (access, fresh):
        verified = served.both(sample.verify, token=token)
        assert shape(verified[1]) == shape(verified[0])
        assert verified[1].status == 200
        bearer = authorization(f"{sample.prefix} {token}")
        assert served.door.same("GET", sample.call, headers=[bearer]).status == 200


def test_a_login_that_fails_is_the_apps_own_answer(served: Served) -> None:
    direct, through = served.both(
        served.sample.login, **{**served.sample.password, "password": "x"}
    )
    assert through.essence == direct.essence
    assert direct.status in (400, 401)


@pytest.mark.parametrize("value", [None, "x", "expired.or.foreign"])
def test_a_call_without_a_good_token_is_refused_in_the_apps_words(
    served: Served, value: str | None
) -> None:
    headers = [] if value is None else [authorization(f"{served.sample.prefix} {value}")]
    for method in ("GET", "POST", "OPTIONS"):
        direct, through = served.door.both(method, served.sample.call, headers=headers)
        assert direct.status == 401
        assert through.refusal == direct.refusal


@pytest.mark.parametrize("name", ["refresh", "verify"])
@pytest.mark.parametrize("token", ["", "x"])
def test_a_bad_token_is_refused_at_a_token_path_as_by_the_app(
    served: Served, name: str, token: str
) -> None:
    sample = served.sample
    field = sample.refresh_field if name == "refresh" else "token"
    direct, through = served.both(getattr(sample, name), **{field: token})
    assert through.refusal == direct.refusal


def test_everything_else_is_as_with_the_app_alone(served: Served) -> None:
    for target in (*PAGES, *served.sample.others):
        served.door.same("GET", target)
        served.door.same("GET", target, headers=[served.bearer()])


def test_other_methods_at_the_login_are_the_apps(served: Served) -> None:
    for method in ("GET", "OPTIONS"):
        assert served.door.same(method, served.sample.login).status in (200, 405)


def test_a_foreign_host_is_refused_by_the_app(served: Served) -> None:
    for target in (served.sample.login, served.sample.verify, "/admin/login/"):
        assert served.door.same("GET", target, host="foreign.example").status == 400
