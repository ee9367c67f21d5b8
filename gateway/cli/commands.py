"""What each command does; every one returns its exit code.

Faults of the configuration are lines for people; nothing here prints a secret.
"""

import argparse
import asyncio
import json
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from gateway import __version__
from gateway.cli.route_report import explanation, table
from gateway.config import (
    ConfigError,
    Fault,
    IssuerConfig,
    KeyFinding,
    Loaded,
    find_file,
    json_schema,
    load,
)
from gateway.stores.address import read_address
from gateway.tokens.keys import KeyMaterialError, load_keys

OK, FAILED, BAD_CONFIG, INTERRUPTED = 0, 1, 2, 130

PROBE_TIMEOUT = 2.0  # seconds
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    options = {
        "server.host": arguments.host,
        "server.port": arguments.port,
        "server.workers": arguments.workers,
        "logging.level": arguments.log_level,
    }
    given = {key: value for key, value in options.items() if value is not None}
    loaded = _load(arguments, environ, given)
    _print_doubts(loaded.warnings)
    from gateway.app import serve  # the other commands need no server

    return serve(
        loaded.config,
        load=lambda: _load(arguments, environ, given),
        control=_control_socket(arguments, environ),
    )


def reload(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from gateway.app.control import ControlUnavailable, ask_to_reload

    try:
        outcome = ask_to_reload(_control_socket(arguments, environ))
    except ControlUnavailable as error:
        print(error, file=sys.stderr)
        return FAILED
    for line in outcome.lines:
        print(line)
    return OK if outcome.is_done else BAD_CONFIG


def check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        loaded = _load(arguments, environ)
    except ConfigError as error:
        print(error)
        return BAD_CONFIG
    _print_doubts((*loaded.warnings, *_absent_sockets(loaded)))
    print("ok")
    return OK


def doctor(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    loaded = _load(arguments, environ)
    from gateway.doctor import as_json, as_text, examine, has_errors

    is_watched = sys.stderr.isatty()

    def progress(subject: str) -> None:
        if is_watched:
            print(f"examined {subject}", file=sys.stderr)

    findings = asyncio.run(examine(loaded.config, paths=arguments.path, progress=progress))
    if arguments.json:
        print(as_json(findings))
    else:
        for line in as_text(findings):
            print(line)
    return FAILED if has_errors(findings) else OK


def routes(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    loaded = _load(arguments, environ)
    lines = explanation(loaded, *arguments.explain) if arguments.explain else table(loaded)
    for line in lines:
        print(line)
    return OK


def init(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from gateway.init import InitError, write_config

    output = arguments.output or arguments.config or "config.yaml"
    file = None if output == "-" else Path(output)
    try:
        if file is not None and file.exists() and not arguments.force:
            raise InitError(f"{file} is there already; --force replaces it")
        written = write_config(
            arguments.django_settings,
            directory=arguments.path,
            upstream=arguments.upstream,
            python=arguments.python,
            environ=environ,
        )
        if file is not None:
            file.write_text(written.text, encoding="utf-8")
    except (InitError, OSError) as error:
        print(f"gateway init: {error}", file=sys.stderr)
        return FAILED
    for warning in written.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if file is None:
        print(written.text, end="")
        return OK
    print(f"{file} is written; next: gateway check --config {file}")
    for name in written.variables:
        print(
            f"it needs the environment variable {name}" + ("" if name in environ else ", not set")
        )
    return OK


def schema(_arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return OK


def healthcheck(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        admin = load(arguments.config, environ=environ).config.admin
    except ConfigError as error:
        print(f"not ready: {error.faults[0]}")
        return FAILED
    host = _ANY_ADDRESS.get(admin.host, admin.host)
    connection = HTTPConnection(host, admin.port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except TimeoutError:
        print(f"not ready: no answer within {PROBE_TIMEOUT:g} s")
        return FAILED
    except (OSError, HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) else "no HTTP answer"
        print(f"not ready: {reason or type(error).__name__}")
        return FAILED
    finally:
        connection.close()
    print("ready" if status == 200 else f"not ready: /readyz answers {status}")
    return OK if status == 200 else FAILED


def version(_arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    print(f"gateway {__version__}")
    return OK


def judge_keys(name: str, issuer: IssuerConfig) -> Iterator[KeyFinding]:
    """What speaks against an issuer's key material."""
    try:
        keys = load_keys(issuer, name=name)
    except KeyMaterialError as error:
        yield _finding(name, error.key_name, str(error))
        return
    for warning in keys.warnings:
        key = "verifying_key" if "verifying_key" in warning else "signing_key"
        yield _finding(name, key, warning, is_fatal=False)


def judge_store(url: str) -> str | None:
    """What speaks against a store's URL; never repeats it, for it may hold a password."""
    if url.startswith("memory:"):
        return None
    try:
        address = read_address(url)
    except ValueError as error:
        return str(error)
    if address.ca_certs is not None and not Path(address.ca_certs).is_file():
        return "the file of ssl_ca_certs is not there"
    return None


def _finding(name: str, key: str, message: str, *, is_fatal: bool = True) -> KeyFinding:
    """The finding without what its key path says already."""
    reason = message.removeprefix(f"issuer {name!r}: ").removeprefix(f"{key} ")
    return KeyFinding(key, reason, is_fatal)


def _load(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    options: Mapping[str, object] | None = None,
) -> Loaded:
    return load(
        arguments.config,
        environ=environ,
        overrides=options or {},
        judge_keys=judge_keys,
        judge_store=judge_store,
    )


def _control_socket(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    from gateway.app.control import default_place

    named: Path | None = arguments.control_socket
    if named is None and environ.get("GATEWAY_CONTROL_SOCKET"):
        named = Path(environ["GATEWAY_CONTROL_SOCKET"])
    return named or default_place(arguments.config or find_file(environ))


def _print_doubts(doubts: Sequence[Fault]) -> None:
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)


def _absent_sockets(loaded: Loaded) -> Iterator[Fault]:
    own = loaded.config.server.socket_path
    if own is not None and not own.parent.is_dir():
        yield loaded.source.fault(("server", "host"), "no directory is there at present")
    for name, upstream in loaded.config.upstreams.items():
        for index, server in enumerate(upstream.servers):
            if server.path is not None and not _is_socket(Path(server.path)):
                key = ("upstreams", name, "servers", index)
                yield loaded.source.fault(key, "no socket is there at present")


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
