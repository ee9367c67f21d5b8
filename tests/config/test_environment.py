"""`GATEWAY_…` variables and command line options that override the file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Config
from tests.config.samples import faults_of, file_with, load_text

OVERRIDES: dict[str, tuple[dict[str, str], Callable[[Config], object], object]] = {
    "a number": ({"GATEWAY_SERVER__PORT": "9000"}, lambda c: c.server.port, 9000),
    "in lower case": ({"GATEWAY_server__port": "9000"}, lambda c: c.server.port, 9000),
    "a URL": ({"GATEWAY_STORE__URL": "memory://"}, lambda c: c.store.url, "memory://"),
    "by name": (
        {"GATEWAY_ISSUERS__STUDENTS__LEEWAY": "5s"},
        lambda c: c.issuers["students"].leeway,
        5.0,
    ),
    "in a section that the file leaves out": (
        {"GATEWAY_UPSTREAMS__STUDENTS__TIMEOUTS__READ": "5s"},
        lambda c: c.upstreams["students"].timeouts.read,
        5.0,
    ),
    "a list": (
        {"GATEWAY_SERVER__TRUSTED_PROXIES": "10.0.0.0/8, 192.168.0.0/16"},
        lambda c: len(c.server.trusted_proxies),
        2,
    ),
    "an empty list": (
        {"GATEWAY_SERVER__TRUSTED_PROXIES": ""},
        lambda c: c.server.trusted_proxies,
        (),
    ),
    "one of a list": (
        {"GATEWAY_ROUTES__0__AUTH": "optional"},
        lambda c: c.routes[0].auth,
        "optional",
    ),
    "a text with commas": (
        {"GATEWAY_ISSUERS__STUDENTS__AUDIENCE": "a,b"},
        lambda c: c.issuers["students"].audience,
        ("a,b",),
    ),
    "a truth": ({"GATEWAY_LOGGING__ACCESS_LOG": "false"}, lambda c: c.logging.access_log, False),
    "what looks like an expansion": (
        {"GATEWAY_ISSUERS__STUDENTS__ISSUER": "${HOME}"},
        lambda c: c.issuers["students"].issuer,
        "${HOME}",
    ),
}


@pytest.mark.parametrize(("environ", "of", "expected"), OVERRIDES.values(), ids=OVERRIDES)
def test_a_variable_overrides_the_file(
    tmp_path: Path, environ: dict[str, str], of: Callable[[Config], object], expected: object
) -> None:
    text = file_with(server="{port: 1234}")

    assert of(load_text(tmp_path, text, environ=environ).config) == expected


def test_a_dash_in_a_name_is_an_underscore_in_the_variable(tmp_path: Path) -> None:
    text = (
        file_with()
        .replace("  students: {servers", "  my-app: {servers")
        .replace("upstream: students", "upstream: my-app")
    )

    config = load_text(
        tmp_path, text, environ={"GATEWAY_UPSTREAMS__MY_APP__MAX_CONNECTIONS": "7"}
    ).config

    assert config.upstreams["my-app"].max_connections == 7


def test_an_override_replaces_a_value_that_can_not_be_expanded(tmp_path: Path) -> None:
    text = file_with(server="{port: '${PORT}'}")

    config = load_text(tmp_path, text, environ={"GATEWAY_SERVER__PORT": "9000"}).config

    assert config.server.port == 9000


UNKNOWN = {
    "GATEWAY_SERVER__PROT": "server: no such key in server; known: body_timeout, graceful_",
    "GATEWAY_SERVER_PORT": "no such key here (levels are parted by __); known: admin, issuers",
    "GATEWAY_ISSUERS__TEACHERS__LEEWAY": "no such key in issuers; known: students",
    "GATEWAY_ROUTES__1__AUTH": "no such key in routes; known: 0",
    "GATEWAY_SERVER__PORT__X": "no such key in server.port",
    "GATEWAY_": "no such key here",
    "GATEWAY_PORT": "no such key here",
}


@pytest.mark.parametrize(("variable", "why"), UNKNOWN.items(), ids=UNKNOWN)
def test_an_unknown_variable_is_named(tmp_path: Path, variable: str, why: str) -> None:
    (fault,) = faults_of(tmp_path, file_with(), environ={variable: "abcdef"})

    assert fault.startswith(f"{variable}: ")
    assert why.removeprefix("server: ") in fault
    assert "abcdef" not in fault


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_CONFIG", "x"),
        ("GATEWAY_REQUIRE_ALL", "1"),
        ("GATEWAY_VERSION", "1"),
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_SERVICE_PORT", "8080"),
        ("GATEWAY_SERVICE_PORT_HTTP", "8080"),
        ("GATEWAY_PORT", "tcp://10.0.0.1:8080"),
        ("GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("GATEWAY_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ("OTHER_SERVER__PORT", "1"),
        ("gateway_server__port", "1"),
    ],
)
def test_reserved_variables_and_those_of_others_are_no_overrides(
    tmp_path: Path, variable: str, value: str
) -> None:
    assert faults_of(tmp_path, file_with(), environ={variable: value}) == []


def test_a_wrong_value_is_told_with_the_variable(tmp_path: Path) -> None:
    assert faults_of(tmp_path, file_with(), environ={"GATEWAY_SERVER__PORT": "high"}) == [
        "GATEWAY_SERVER__PORT: server.port: must be a whole number"
    ]


def test_two_spellings_of_one_key_are_a_fault(tmp_path: Path) -> None:
    environ = {"GATEWAY_SERVER__PORT": "1", "GATEWAY_server__port": "2"}

    assert faults_of(tmp_path, file_with(), environ=environ) == [
        "GATEWAY_server__port: server.port: given twice: also by GATEWAY_SERVER__PORT"
    ]


def test_an_override_below_a_word_is_a_fault(tmp_path: Path) -> None:
    environ = {"GATEWAY_UPSTREAMS__STUDENTS__TIMEOUTS__READ": "5s"}

    faults = faults_of(
        tmp_path, file_with(upstream="{servers: [http://h], timeouts: 5s}"), environ=environ
    )

    assert faults[0] == (
        "GATEWAY_UPSTREAMS__STUDENTS__TIMEOUTS__READ: upstreams.students.timeouts.read: "
        "the file has no mapping here"
    )


def test_an_option_beats_the_variable_and_the_file(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        file_with(server="{port: 1, host: a}"),
        environ={"GATEWAY_SERVER__PORT": "2", "GATEWAY_SERVER__HOST": "b"},
        overrides={"server.port": "3"},
    ).config

    assert (config.server.port, config.server.host) == (3, "b")


def test_a_wrong_option_is_told_as_such(tmp_path: Path) -> None:
    assert faults_of(tmp_path, file_with(), overrides={"server.port": "x"}) == [
        "command line: server.port: must be a whole number"
    ]


def test_options_can_not_repair_a_section_that_is_no_mapping(tmp_path: Path) -> None:
    assert faults_of(tmp_path, file_with(server="5"), overrides={"server.port": "1"}) == [
        "config.yaml:1: server: must be a mapping of keys to values"
    ]


def test_a_variable_may_name_what_the_file_has_and_the_format_has_not(tmp_path: Path) -> None:
    text = file_with() + "extra: {a: 1}\n"

    assert faults_of(tmp_path, text, environ={"GATEWAY_EXTRA__A": "2"}) == [
        "config.yaml:12: extra: unknown key; known here: server, store, issuers, upstreams, "
        "routes, admin, logging, tracing"
    ]
