"""`gateway sessions` against a gateway that runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.servers import ROOT, RunningApp, RunningGateway
from tests.integration.test_admin_api import TOKEN, call, config, log_in, refresh, user_of


@pytest.fixture
def gateway(
    students: RunningApp, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> RunningGateway:
    return run_gateway(config(students))


def sessions(gateway: RunningGateway, *words: str, **environ: str) -> tuple[int, str, str]:
    """The command's exit code, and what it prints; it finds the port in the environment."""
    port = gateway.admin.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "sessions", *words, "--config", gateway.file],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_ADMIN__PORT": port, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert TOKEN not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_sessions_are_listed_and_one_is_ended(gateway: RunningGateway) -> None:
    first, second = log_in(gateway), log_in(gateway)
    user = user_of(gateway, first)
    second = refresh(gateway, second).json()

    code, told, _ = sessions(gateway, "list", "--user", user)
    assert code == 0
    header, *rows = told.splitlines()
    assert header.split("  ")[0] == "session"
    assert len(rows) == 2
    (fresh,) = [row.split()[0] for row in rows if " never " in row]

    assert sessions(gateway, "revoke", "--user", user, "--session", fresh) == (
        0,
        "the session has ended\n",
        "",
    )
    assert (call(gateway, first), call(gateway, second)) == (401, 200)
    code, told, _ = sessions(gateway, "list", "--user", user, "--json", "--issuer", "students")
    assert [one["id"] != fresh for one in json.loads(told)["sessions"]] == [True]


def test_all_of_a_user_are_ended(gateway: RunningGateway) -> None:
    pair = log_in(gateway)
    user = user_of(gateway, pair)
    code, told, _ = sessions(gateway, "revoke", "--user", user, "--all")
    assert (code, told) == (0, "all sessions of the user have ended\n")
    assert call(gateway, pair) == 401
    assert sessions(gateway, "list", "--user", user)[:2] == (0, "no sessions\n")


def test_what_can_not_be_done_is_told(gateway: RunningGateway) -> None:
    unknown = sessions(gateway, "revoke", "--user", "1", "--session", "x")
    assert unknown == (
        1,
        "",
        "refused: this user has no such session, or it has ended before\n",
    )
    assert sessions(gateway, "list", "--user", "1", "--issuer", "x") == (
        1,
        "",
        "there is no issuer 'x': students\n",
    )
    code, _, told = sessions(gateway, "list", "--user", "1", GATEWAY_ADMIN__PORT="1")
    assert (code, told) == (
        1,
        "the admin listener on 127.0.0.1 port 1: Connection refused\n",
    )
    public = gateway.address.rpartition(":")[2]
    code, _, told = sessions(gateway, "list", "--user", "1", GATEWAY_ADMIN__PORT=public)
    assert code == 1
    assert told.startswith("refused: ")


def test_without_a_token_it_says_what_to_set(gateway: RunningGateway, students: RunningApp) -> None:
    gateway.rewrite(config(students, admin={}))
    code, _, told = sessions(gateway, "list", "--user", "1")
    assert (code, told) == (1, "the admin API is off: set admin.token\n")


@pytest.mark.parametrize(
    "words",
    [[], ["list"], ["revoke", "--user", "1"], ["revoke", "--user", "1", "--all", "--session", "x"]],
    ids=["no action", "no user", "nothing to end", "both"],
)
def test_a_wrong_command_line_is_told(gateway: RunningGateway, words: list[str]) -> None:
    assert sessions(gateway, *words)[0] == 2
