"""Keys that are known and do not work yet: refused by that name, never ignored."""

from pathlib import Path

import pytest

from tests.config.samples import faults_of, file_with

NOT_YET = [
    ("server", "{header_timeout: 5s}", "1: server.header_timeout"),
    ("server", "{max_connections: 5}", "1: server.max_connections"),
    ("store", "{url: 'redis://localhost:6379/0'}", "2: store.url"),
    ("store", "{key_prefix: x}", "2: store.key_prefix"),
    ("store", "{timeout: 1s}", "2: store.timeout"),
    ("store", "{max_staleness: 1s}", "2: store.max_staleness"),
    ("store", "{on_outage: allow}", "2: store.on_outage"),
    *(
        ("issuer", "{@ISSUER, " + text + "}", f"4: issuers.students.{key}")
        for key, text in {
            "refresh_token_lifetime": "refresh_token_lifetime: 2d",
            "rotate_refresh_tokens": "rotate_refresh_tokens: false",
            "blacklist_after_rotation": "blacklist_after_rotation: false",
            "refresh_grace": "refresh_grace: 0s",
            "session_lifetime": "session_lifetime: 7d",
            "check_user": "check_user: /me/",
            "endpoints": "endpoints: {obtain: /login/}",
            "cookie": "cookie: {name: refresh}",
            "revoke_on": "revoke_on: [{path: /password/}]",
        }.items()
    ),
    *(
        ("upstream", "{@SERVERS, " + text + "}", f"6: upstreams.students.{key}")
        for key, text in {
            "load_balancing": "load_balancing: round_robin",
            "retries": "retries: 2",
            "health_check": "health_check: {path: /healthz}",
            "circuit_breaker": "circuit_breaker: {}",
            "identity": "identity: drf_token",
        }.items()
    ),
    ("upstream", "{servers: [http://h, unix:/x]}", "6: upstreams.students.servers"),
    ("route", "{path: /, rate_limit: {rate: 5/s}, @TO}", "8: routes[0].rate_limit"),
    ("route", "{path: /, cors: {origins: ['*']}, @TO}", "8: routes[0].cors"),
    ("admin", "{token: abc}", "9: admin.token"),
    ("tracing", "{otlp_endpoint: 'http://otel:4318'}", "11: tracing.otlp_endpoint"),
]


@pytest.mark.parametrize(("section", "text", "key"), NOT_YET, ids=[k for *_, k in NOT_YET])
def test_a_key_that_does_not_work_yet_is_refused(
    tmp_path: Path, section: str, text: str, key: str
) -> None:
    faults = faults_of(tmp_path, file_with(**{section: text}))

    assert len(faults) == 1, faults
    assert faults[0].startswith(f"config.yaml:{key}: ")
    assert "not supported yet" in faults[0]


def test_workers_without_a_shared_store_are_told_of_redis(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, file_with(server="{workers: 2}"))

    assert fault.startswith("config.yaml:1: server.workers: ")
    assert "Redis" in fault


def test_cors_credentials_need_named_origins(tmp_path: Path) -> None:
    route = "{path: /, cors: {origins: ['*'], credentials: true}, @TO}"

    assert "config.yaml:8: routes[0].cors.credentials: needs named origins, not *" in faults_of(
        tmp_path, file_with(route=route)
    )
