"""The command line: its commands and options, and the help that teaches them."""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.cli.commands import (
    check,
    doctor,
    healthcheck,
    init,
    reload,
    routes,
    run,
    schema,
    version,
)
from gateway.cli.sessions import sessions
from gateway.errors import RequestRefused
from gateway.request import parse_target

_Command = Callable[[argparse.Namespace, Mapping[str, str]], int]

_ABOUT = """\
An edge gateway for Django services: verifies JWTs, and forwards requests faithfully.

configuration
  One YAML file: --config PATH, else $GATEWAY_CONFIG, ./config.yaml, /etc/gateway/config.yaml.
  A value is taken from the command line, then from a GATEWAY_... variable, then from the file:
    GATEWAY_SERVER__PORT=9000                    overrides server.port
    GATEWAY_ISSUERS__STUDENTS__SIGNING_KEY=...   gives issuers.students.signing_key
  In the file ${VAR} and ${VAR:-default} expand, and any secret may be {file: PATH}.
  A secret given in two places is refused.
"""
_EXAMPLES = """\
examples
  gateway init --django-settings mysite.settings       write config.yaml for a Django project
  gateway check                                        is the file right?
  gateway run --port 9000                              serve
  gateway reload                                       take the changed file, without a pause
  gateway routes                                       what goes where
  gateway sessions list --user 17                      who is logged in, since when
  gateway routes --explain GET http://localhost/api/   which route answers, and why
  gateway doctor                                       do the apps and the store fit it?
  gateway schema > config.schema.json                  for completion in an editor

exit codes
  0 done    1 failed    2 the configuration (or the command line) is wrong
"""
_RUN = """\
Serve until SIGTERM or Ctrl-C; requests in flight may finish (server.graceful_shutdown).
Exit codes: 0 after a graceful stop, 2 for a bad configuration, 1 for anything else.

example
  gateway run --config /etc/gateway/config.yaml --host 0.0.0.0 --log-level debug
"""
_RELOAD = """\
Tell the gateway that runs with this file to take it anew, as SIGHUP does. No connection is refused
and no request fails: those under way are finished by what they began with. WebSockets go on; what
takes longer than graceful_shutdown, such as an event stream, is cut. Prints what has changed, or
the faults of the file, which then changes nothing.
Exit codes: 0 reloaded, 2 refused, 1 no gateway answers.

example
  gateway reload --config /etc/gateway/config.yaml
"""
_CHECK = """\
Check the configuration fully: keys and values, key material, files, routes that conflict.
Prints `ok`, or each fault as `config.yaml:LINE: routes[3].auth: what is wrong`; doubts go to
stderr. Exit codes: 0 or 2.

example
  gateway check --config config.yaml && gateway run --config config.yaml
"""
_DOCTOR = """\
Ask the running upstreams and the store, past the gateway, and say what does not fit: an app that
others can reach, that believes forged headers, that redirects in a loop behind TLS or words its
refusals otherwise; a Redis that forgets; clocks, connections, keys and lifetimes.

Each finding has a severity (error, warning, info, ok), what was seen, and what to change. What
can't be told from outside is said to be unknown. No gateway need run. GET alone is asked, and POST
with an empty form of a login page; no secret and no token is printed. It takes a few seconds, and
timeouts.idle of the upstreams. docs/doctor.md has every check.
Exit codes: 0 without findings of severity error, 1 with some, 2 for a bad configuration.

examples
  gateway doctor
  gateway doctor --path /api/me/        ask this view too, which refuses without a token
  gateway doctor --json | jq '.[] | select(.severity == "error")'
"""
_ROUTES = """\
Show the route table in the order in which it is tried: the first route that matches answers.
A path is a prefix that ends on a segment border; =/path is exactly that path.

example
  gateway routes --explain POST 'http://localhost:8080/api/items/?page=2'
"""
_SESSIONS = """\
Show the sessions of a user, or end them, in the gateway that runs with this file. It is asked on
its admin listener, with admin.token, which must be set. Exit codes: 0 done, 1 not.

examples
  gateway sessions list --user 17
  gateway sessions revoke --user 17 --session 5f1d…
  gateway sessions revoke --user 17 --all
"""
_INIT = """\
Write a commented config.yaml for a Django project that has its token views from
djangorestframework-simplejwt, drf-jwt or djangorestframework-jwt: settings by their names, token
paths and routes from its URLconf. The project is served as it is; what can't be told for certain is
left to the app, and said on stderr.

The project is loaded in its own Python (3.8 or later), with the environment variables that it
needs: --python, else that of $VIRTUAL_ENV, of .venv or venv in its directory, or the gateway's own.
Secrets are never read out of it: the file names the variables that hold them.
Exit codes: 0 written, 1 not written, and why.

examples
  gateway init --django-settings mysite.settings --path /srv/mysite
  gateway init --django-settings mysite.settings --upstream unix:/run/mysite.sock --output -
"""
_SCHEMA = "Print the JSON Schema of the file, which editors use to complete and check it.\n"
_HEALTHCHECK = """\
Ask the admin listener's /readyz, and say in one line whether the gateway can serve.
Exit codes: 0 or 1; made for a container's HEALTHCHECK.
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gateway",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_config(parser, None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(function: _Command, summary: str, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            function.__name__,
            help=summary,
            description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_config(added, argparse.SUPPRESS)
        added.set_defaults(command=function)
        return added

    serving = command(run, "serve", _RUN)
    serving.add_argument("--host", help="listen on this address (server.host)")
    serving.add_argument("--port", help="listen on this port (server.port)")
    serving.add_argument("--workers", help="processes that serve (server.workers)")
    serving.add_argument("--log-level", help="debug, info, warning or error (logging.level)")
    _add_control(serving)
    _add_control(command(reload, "take the file anew in the gateway that runs", _RELOAD))
    command(check, "check the configuration, with key material and files", _CHECK)
    asking = command(doctor, "ask the upstreams and the store what does not fit", _DOCTOR)
    asking.add_argument(
        "--json", action="store_true", help="a list of {check, severity, subject, evidence, remedy}"
    )
    asking.add_argument(
        "--path",
        action="append",
        default=[],
        type=_path,
        help="a path that refuses without a token, where the routes' own paths are no views; "
        "may be repeated",
    )
    command(routes, "show the route table, or explain a request", _ROUTES).add_argument(
        "--explain", nargs=2, metavar=("METHOD", "URL"), help="which route answers, and why"
    )
    _add_sessions(command(sessions, "show or end the sessions of a user", _SESSIONS))
    _add_init(command(init, "write the configuration for a Django project", _INIT))
    command(schema, "print the JSON Schema of the file", _SCHEMA)
    command(healthcheck, "ask a running gateway whether it is ready", _HEALTHCHECK)
    command(version, "print the version", "Print the version.\n")
    return parser


def _add_sessions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="show them", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="as the admin API tells them")
    revoking = actions.add_parser("revoke", help="end one, or all", allow_abbrev=False)
    which = revoking.add_mutually_exclusive_group(required=True)
    which.add_argument("--session", metavar="ID", help="this one, as `list` shows it")
    which.add_argument("--all", action="store_true", help="all that the user has")
    for action in (listing, revoking):
        _add_config(action, argparse.SUPPRESS)
        action.add_argument("--user", metavar="ID", required=True, help="as tokens have it")
        action.add_argument("--issuer", metavar="NAME", help="needed where there are several")


def _add_init(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--django-settings", metavar="MODULE", required=True, help="such as mysite.settings")
    option(
        "--path", metavar="DIR", type=Path, default=Path(), help="where manage.py is (default: .)"
    )
    option("--python", metavar="PATH", type=Path, help="the Python that has the project's packages")
    option("--output", metavar="FILE", help="where to write (default: config.yaml); - for stdout")
    option(
        "--upstream", metavar="URL", default="http://127.0.0.1:8001", help="where the app listens"
    )
    option("--force", action="store_true", help="replace the file that is there")


def _path(text: str) -> str:
    try:
        parse_target(os.fsencode(text))
    except RequestRefused as error:
        raise argparse.ArgumentTypeError(f"{error}") from error
    return text


def _add_control(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--control-socket",
        metavar="PATH",
        type=Path,
        help="where `gateway reload` speaks to the gateway, else $GATEWAY_CONTROL_SOCKET; "
        "by default the configuration file's path tells the place",
    )


def _add_config(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument(
        "--config", metavar="PATH", type=Path, default=default, help="the configuration file"
    )
