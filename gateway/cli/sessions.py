"""`gateway sessions`: a user's sessions, and their end, by the admin API of the gateway that runs.

The token is the configuration's, and is shown nowhere.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from gateway.config import AdminConfig, Config, load

OK, FAILED = 0, 1

PATIENCE = 30.0  # seconds: the store may hold many sessions
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class _Failure(Exception):
    """Why it can't be told or done; the text says it."""


def sessions(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    config = load(arguments.config, environ=environ).config
    try:
        issuer = _issuer(config, arguments.issuer)
        action = _list if arguments.action == "list" else _revoke
        action(config.admin, issuer, arguments)
    except _Failure as failure:
        print(failure, file=sys.stderr)
        return FAILED
    return OK


def _list(admin: AdminConfig, issuer: str, arguments: argparse.Namespace) -> None:
    asked = urlencode({"issuer": issuer, "user": arguments.user})
    found = _ask(admin, "GET", f"/api/sessions?{asked}")
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    rows = [("session", "since", "last refresh", "ends unless refreshed")]
    for one in found["sessions"]:
        times = (one[key] or "never" for key in ("began", "refreshed", "kept_until"))
        rows.append((one["id"], *times))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if len(rows) > 1 else ():
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    if len(rows) == 1:
        print("no sessions")
    if not found["is_complete"]:
        print("there may be more than these; --all ends them too", file=sys.stderr)


def _revoke(admin: AdminConfig, issuer: str, arguments: argparse.Namespace) -> None:
    user, session = arguments.user, arguments.session
    if session is None:
        _ask(admin, "DELETE", f"/api/sessions?{urlencode({'issuer': issuer, 'user': user})}")
        print("all sessions of the user have ended")
        return
    path = f"/api/sessions/{quote(issuer, safe='')}/{quote(session, safe='')}"
    _ask(admin, "DELETE", f"{path}?{urlencode({'user': user})}")
    print("the session has ended")


def _issuer(config: Config, named: str | None) -> str:
    """The issuer that was named, or the only one."""
    names = tuple(config.issuers)
    if named is None and len(names) == 1:
        return names[0]
    if named not in names:
        told = "name one with --issuer" if named is None else f"there is no issuer {named!r}"
        raise _Failure(f"{told}: {', '.join(names) or 'none is configured'}")
    return named


def _ask(admin: AdminConfig, method: str, target: str) -> Any:
    """What the admin API answers; raises _Failure."""
    if admin.token is None:
        raise _Failure("the admin API is off: set admin.token")
    host = _ANY_ADDRESS.get(admin.host, admin.host)
    where = f"the admin listener on {host} port {admin.port}"
    connection = HTTPConnection(host, admin.port, timeout=PATIENCE)
    try:
        connection.request(
            method, target, headers={"Authorization": f"Bearer {admin.token.reveal()}"}
        )
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except TimeoutError as error:
        raise _Failure(f"{where}: no answer within {PATIENCE:g} s") from error
    except OSError as error:
        raise _Failure(f"{where}: {error.strerror or type(error).__name__}") from error
    except (HTTPException, ValueError) as error:
        raise _Failure(f"{where} is no gateway's") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise _Failure(f"refused: {said.get('detail', f'status {answer.status}')}")
    return said
