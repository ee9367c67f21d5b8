"""What one key can't know alone, all faults at once, and the contract's own example."""

import json
from pathlib import Path

import pytest

from gateway.config import (
    ConfigError,
    Fault,
    IssuerConfig,
    KeyFinding,
    json_schema,
    load,
)
from tests.config.samples import SECRET, faults_of, file_with, load_text

REPOSITORY = Path(__file__).parents[2]

ALL_DEFAULTS = """\
server:
  host: 127.0.0.1
  port: 8080
  workers: 1
  trusted_proxies: []
  graceful_shutdown: 30s
  header_timeout: 10s
  body_timeout: 30s
  keep_alive: 75s
  max_header_size: 32KiB
  max_header_count: 100
  max_url_size: 8KiB
  max_body_size: 100MiB
  max_connections: 10000
  revocation_sweep: 500ms

store:
  url: memory://
  key_prefix: gw
  timeout: 250ms
  max_staleness: 5s
  on_outage: deny

issuers:
  students:
    profile: simplejwt
    profile_version: "5.5"
    algorithm: HS256
    signing_key: ${DJANGO_SECRET_KEY}
    verifying_key: null
    jwk_url: null
    audience: null
    issuer: null
    leeway: 0s
    user_id_claim: user_id
    token_type_claim: token_type
    jti_claim: jti
    auth_header_types: [Bearer]
    auth_header_name: Authorization
    access_token_lifetime: 5m
    refresh_token_lifetime: 1d
    rotate_refresh_tokens: true
    blacklist_after_rotation: true
    refresh_grace: 10s
    session_lifetime: null
    upstream: students
    check_user: null
    endpoints:
      obtain: /gettoken/
      refresh: /refreshtoken/
      verify: /verifytoken/
      blacklist: /logout/
      blacklist_all: null
    cookie: null
    revoke_on: []

upstreams:
  students:
    servers: [http://127.0.0.1:8001]
    load_balancing: least_connections
    timeouts: {connect: 2s, read: 60s, idle: 1s}
    max_connections: 256
    retries: 1
    health_check: null
    circuit_breaker: null
    identity: passthrough
    identity_headers: {}
    mint: null
    preserve_host: true

routes:
  - {path: /admin/, auth: none, upstream: students}
  - path: /
    methods: null
    hosts: null
    auth: required
    issuers: [students]
    require: {}
    upstream: students
    rate_limit: null
    max_body_size: null
    cors: null
    websocket: false

admin:
  host: 127.0.0.1
  port: 9090
  token: null

logging: {level: info, format: json, access_log: true}
tracing: {otlp_endpoint: null}
"""

REQUIRED_ALONE = """\
issuers:
  students:
    signing_key: ${DJANGO_SECRET_KEY}
upstreams:
  students:
    servers: [http://127.0.0.1:8001]
routes:
  - {path: /admin/, auth: none, upstream: students}
  - {path: /, issuers: [students], upstream: students}
"""


def test_the_documented_defaults_are_the_defaults(tmp_path: Path) -> None:
    environ = {"DJANGO_SECRET_KEY": SECRET}

    written = load_text(tmp_path, ALL_DEFAULTS, environ=environ).config
    silent = load_text(tmp_path, REQUIRED_ALONE, environ=environ).config

    students = written.issuers["students"].model_copy(update={"upstream": None})
    assert written.model_copy(update={"issuers": {"students": students}}) == silent


def test_all_faults_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
server: {port: high, workers: 2}
issuers:
  a: {signing_key: '${KEY}', algorithm: HS1}
  b: {verifying_key: {file: gone}, revoke_on: [{path: x}]}
  a: {}
upstreams:
  x: {servers: [http://h], identity: header, mint: {issuer: c}}
  y: {servers: [https://h], retries: 5}
routes:
  - {path: /a, issuers: [a], upstream: x}
  - {path: /a/b, issuers: [a, c], upstream: z, cors: {origins: ['*'], credentials: true}}
  - {path: a, auth: yes, upstream: x}
  - {path: /c, issuers: 5, upstream: z}
  - {path: /a, methods: [get], issuers: [a], upstream: x}
"""

    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, text, environ={"GATEWAY_SERVER__PROT": "1"})

    assert [(fault.line, fault.key) for fault in raised.value.faults] == [
        (0, ""),  # of the variable
        (1, "server.port"),
        (1, "server.workers"),
        (3, "issuers.a.signing_key"),
        (3, "issuers.a.algorithm"),
        (4, "issuers.b.verifying_key"),
        (4, "issuers.b.revoke_on[0].path"),
        (5, "issuers.a"),
        (7, "upstreams.x.identity"),
        (7, "upstreams.x.mint.issuer"),
        (8, "upstreams.y.servers[0].url"),
        (11, "routes[1].upstream"),
        (11, "routes[1].issuers[1]"),
        (11, "routes[1].cors.credentials"),
        (11, "routes[1].path"),
        (12, "routes[2].path"),
        (12, "routes[2].auth"),
        (13, "routes[3].issuers"),
        (13, "routes[3].upstream"),
        (14, "routes[4].methods[0]"),
    ]


REQUIRED = {
    "no upstreams": ("routes: [{path: /, auth: none, upstream: a}]", "upstreams: required"),
    "no routes": ("upstreams: {a: {servers: [http://h]}}", "routes: required, but not given"),
    "empty routes": (
        "upstreams: {a: {servers: [http://h]}}\nroutes: []",
        "routes: needs at least one entry",
    ),
    "an unknown section": (file_with() + "route: []", "route: unknown key; did you mean routes?"),
}


@pytest.mark.parametrize(("text", "fault"), REQUIRED.values(), ids=REQUIRED)
def test_the_file_has_its_sections(tmp_path: Path, text: str, fault: str) -> None:
    assert any(fault in line for line in faults_of(tmp_path, text))


def two_routes(first: str, second: str) -> str:
    rest = "auth: none, upstream: students"
    return file_with(route=f"{{{first}, {rest}}}\n  - {{{second}, {rest}}}")


SHADOWED = {
    "the same": ("path: /a", "path: /a"),
    "a wider prefix": ("path: /a", "path: /a/b"),
    "a prefix with a slash": ("path: /a/", "path: /a/b"),
    "all": ("path: /", "path: /a"),
    "an exact path below": ("path: /a", "path: =/a/b"),
    "the same exact path": ("path: =/a", "path: =/a"),
    "more methods": ("path: /a, methods: [GET, POST]", "path: /a, methods: [POST]"),
    "all methods": ("path: /a", "path: /a, methods: [POST]"),
    "all hosts": ("path: /a", "path: /a, hosts: [b.c]"),
    "a wider host": ("path: /a, hosts: ['*.c']", "path: /a, hosts: [b.c, '*.b.c']"),
    "the same host in other letters": ("path: /a, hosts: [B.c]", "path: /a, hosts: [b.C]"),
}

REACHED = {
    "a longer name": ("path: /a", "path: /ab"),
    "without the slash": ("path: /a/", "path: /a"),
    "exact first": ("path: =/a", "path: /a"),
    "narrower first": ("path: /a/b", "path: /a"),
    "fewer methods": ("path: /a, methods: [GET]", "path: /a, methods: [GET, POST]"),
    "some methods": ("path: /a, methods: [GET]", "path: /a"),
    "another host": ("path: /a, hosts: [b.c]", "path: /a, hosts: [x.b.c]"),
    "the bare name": ("path: /a, hosts: ['*.b.c']", "path: /a, hosts: [b.c]"),
    "some hosts": ("path: /a, hosts: [b.c]", "path: /a"),
}


@pytest.mark.parametrize(("first", "second"), SHADOWED.values(), ids=SHADOWED)
def test_a_route_that_nothing_reaches_is_a_fault(tmp_path: Path, first: str, second: str) -> None:
    assert faults_of(tmp_path, two_routes(first, second)) == [
        "config.yaml:9: routes[1].path: never reached: routes[0] answers all of it"
    ]


@pytest.mark.parametrize(("first", "second"), REACHED.values(), ids=REACHED)
def test_a_route_that_something_reaches_is_none(tmp_path: Path, first: str, second: str) -> None:
    assert faults_of(tmp_path, two_routes(first, second)) == []


def test_minting_needs_an_issuer_that_can_sign(tmp_path: Path) -> None:
    text = file_with(
        issuer="{@ISSUER}", upstream="{@SERVERS, identity: mint, mint: {issuer: students}}"
    )

    assert faults_of(tmp_path, text) == [
        "config.yaml:6: upstreams.students.mint.issuer: this issuer has no signing_key to mint with"
    ]


def test_what_follows_from_a_fault_is_not_told_again(tmp_path: Path) -> None:
    text = file_with(
        issuer="{signing_key: {file: gone}, algorithm: none}",
        upstream="{@SERVERS, identity: mint, mint: {issuer: students, lifetime: x}}",
    )

    assert [fault.split(": ")[1] for fault in faults_of(tmp_path, text)] == [
        "issuers.students.algorithm",
        "issuers.students.signing_key",
        "upstreams.students.mint.lifetime",
    ]


def test_minting_with_an_issuer_of_a_broken_key_is_one_fault(tmp_path: Path) -> None:
    text = file_with(
        issuer="{signing_key: {file: gone}}",
        upstream="{@SERVERS, identity: mint, mint: {issuer: students}}",
    )

    assert len(faults_of(tmp_path, text)) == 1


def test_what_is_unused_is_a_doubt_and_no_fault(tmp_path: Path) -> None:
    text = file_with(route="{path: /, auth: none, upstream: students}").replace(
        "upstreams:\n", "upstreams:\n  spare: {servers: [http://h]}\n"
    )

    warnings = load_text(tmp_path, text).warnings

    assert [str(warning).replace(f"{tmp_path}/", "") for warning in warnings] == [
        "config.yaml:4: issuers.students: no route and no mint uses this issuer",
        "config.yaml:6: upstreams.spare: no route leads to this upstream",
    ]


def test_an_issuer_that_only_mints_is_used(tmp_path: Path) -> None:
    text = file_with(
        upstream="{@SERVERS, identity: mint, mint: {issuer: students}}",
        route="{path: /, auth: none, upstream: students}",
    )

    assert load_text(tmp_path, text).warnings == ()


class TestKeyMaterial:
    """The judge of keys lives above; its findings become faults and doubts with lines."""

    def judged(self, directory: Path, *findings: KeyFinding, text: str = "") -> list[str]:
        path = directory / "config.yaml"
        path.write_text(text or file_with(), encoding="utf-8")
        asked = []

        def judge(name: str, issuer: IssuerConfig) -> tuple[KeyFinding, ...]:
            asked.append((name, issuer.algorithm))
            return findings

        try:
            found = load(path, environ={}, judge_keys=judge).warnings
        except ConfigError as error:
            found = error.faults
        return [f"{fault}".replace(f"{directory}/", "") for fault in found] + [
            f"asked of {name}" for name, _ in asked
        ]

    def test_a_fatal_finding_refuses(self, tmp_path: Path) -> None:
        assert self.judged(tmp_path, KeyFinding("signing_key", "is weak")) == [
            "config.yaml:4: issuers.students.signing_key: is weak",
            "asked of students",
        ]

    def test_a_doubt_is_a_warning(self, tmp_path: Path) -> None:
        assert self.judged(tmp_path, KeyFinding("signing_key", "is short", is_fatal=False)) == [
            "config.yaml:4: issuers.students.signing_key: is short",
            "asked of students",
        ]

    def test_keys_are_judged_though_another_section_is_broken(self, tmp_path: Path) -> None:
        assert self.judged(
            tmp_path, KeyFinding("signing_key", "is weak"), text=file_with(server="{port: x}")
        ) == [
            "config.yaml:1: server.port: must be a whole number",
            "config.yaml:4: issuers.students.signing_key: is weak",
            "asked of students",
        ]

    def test_a_broken_key_is_not_judged(self, tmp_path: Path) -> None:
        text = file_with(issuer="{signing_key: ''}")

        assert self.judged(tmp_path, KeyFinding("signing_key", "is weak"), text=text) == [
            "config.yaml:4: issuers.students.signing_key: is empty"
        ]


def test_workers_without_a_shared_store_are_told_of_redis(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, file_with(server="{workers: 2}"))

    assert fault.startswith("config.yaml:1: server.workers: ")
    assert "Redis" in fault


def test_a_loaded_configuration_knows_the_line_of_each_key(tmp_path: Path) -> None:
    source = load_text(tmp_path, ALL_DEFAULTS, environ={"DJANGO_SECRET_KEY": SECRET}).source

    fault = source.fault(("issuers", "students", "signing_key"), "is weak")

    assert fault == Fault(
        f"{tmp_path}/config.yaml:29", "issuers.students.signing_key", "is weak", 29
    )
    assert source.fault(("routes", 0, "cors"), "x").line == 72  # not given: that of its section
    assert source.fault(("nowhere",), "x").line == 1


def test_the_committed_schema_is_that_of_the_models() -> None:
    committed = (REPOSITORY / "config.schema.json").read_text(encoding="utf-8")

    assert committed == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def test_every_key_has_a_description_in_the_schema() -> None:
    schema = json_schema()
    sections = {"": schema, **schema["$defs"]}

    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, value in section.get("properties", {}).items()
        if not value.get("description")
    ]

    assert silent == []
