"""Every key by itself: what is accepted, and what it becomes."""

from pathlib import Path

import pytest

from gateway.config import Config
from tests.config.samples import file_with, load_text

ACCEPTED = [
    ("server", "{port: '9000'}", lambda c: c.server.port, 9000),
    ("server", "{port: 0}", lambda c: c.server.port, 0),
    ("server", "", lambda c: c.server.port, 8080),
    ("server", "{keep_alive: 250ms}", lambda c: c.server.keep_alive, 0.25),
    ("server", "{keep_alive: 1.5s}", lambda c: c.server.keep_alive, 1.5),
    ("server", "{keep_alive: 2m}", lambda c: c.server.keep_alive, 120.0),
    ("server", "{keep_alive: 12h}", lambda c: c.server.keep_alive, 43200.0),
    ("server", "{keep_alive: 1d}", lambda c: c.server.keep_alive, 86400.0),
    ("server", "{keep_alive: 0s}", lambda c: c.server.keep_alive, 0.0),
    ("server", "{max_body_size: 512}", lambda c: c.server.max_body_size, 512),
    ("server", "{max_body_size: '512'}", lambda c: c.server.max_body_size, 512),
    ("server", "{max_body_size: 64KiB}", lambda c: c.server.max_body_size, 65536),
    ("server", "{max_body_size: 10MiB}", lambda c: c.server.max_body_size, 10 << 20),
    ("server", "{max_body_size: 1GiB}", lambda c: c.server.max_body_size, 1 << 30),
    ("server", "{max_body_size: 0B}", lambda c: c.server.max_body_size, 0),
    (
        "server",
        "{trusted_proxies: [10.0.0.0/8, '::1']}",
        lambda c: [str(n) for n in c.server.trusted_proxies],
        ["10.0.0.0/8", "::1/128"],
    ),
    ("store", "{key_prefix: 'a.B_c:9-'}", lambda c: c.store.key_prefix, "a.B_c:9-"),
    ("store", "{key_prefix: " + "x" * 64 + "}", lambda c: c.store.key_prefix, "x" * 64),
    ("store", "{max_staleness: 2s}", lambda c: c.store.max_staleness, 2.0),
    ("logging", "{access_log: off}", lambda c: c.logging.access_log, False),
    ("issuer", "{signing_key: k}", lambda c: c.issuers["students"].algorithm, ("HS256",)),
    (
        "issuer",
        "{verifying_key: [a, b], algorithm: [RS256, PS256]}",
        lambda c: [key.reveal() for key in c.issuers["students"].verifying_key],
        ["a", "b"],
    ),
    ("issuer", "{signing_key: k, audience: a}", lambda c: c.issuers["students"].audience, ("a",)),
    ("issuer", "{signing_key: k, audience: null}", lambda c: c.issuers["students"].audience, ()),
    ("issuer", "{signing_key: k}", lambda c: c.issuers["students"].auth_header_types, ("Bearer",)),
    *(
        (
            "issuer",
            f"{{signing_key: k, profile: {profile}}}",
            lambda c: (
                c.issuers["students"].auth_header_types,
                c.issuers["students"].profile_version,
            ),
            expected,
        )
        for profile, expected in {
            "simplejwt": (("Bearer",), "5.5"),
            "drf-jwt": (("Bearer",), "1.19"),
            "djangorestframework-jwt": (("JWT",), "1.11"),
            "jwt": (("Bearer",), ""),
        }.items()
    ),
    (
        "issuer",
        "{signing_key: k, profile: djangorestframework-jwt, auth_header_types: [SRI]}",
        lambda c: c.issuers["students"].auth_header_types,
        ("SRI",),
    ),
    *(
        (
            "issuer",
            f"{{signing_key: k, profile_version: {version}}}",
            lambda c: c.issuers["students"].profile_version,
            expected,
        )
        for version, expected in {"'5.2'": "5.2", "5.2": "5.2", "'5.5.1'": "5.5"}.items()
    ),
    ("issuer", "{signing_key: k, upstream: students}", lambda c: len(c.issuers), 1),
    (
        "upstream",
        "{servers: ['http://[::1]:8001/']}",
        lambda c: [(s.kind, s.host, s.port, s.path) for s in c.upstreams["students"].servers],
        [("tcp", "::1", 8001, None)],
    ),
    (
        "upstream",
        "{servers: [http://app]}",
        lambda c: [(s.host, s.port, s.weight) for s in c.upstreams["students"].servers],
        [("app", 80, 1)],
    ),
    *(
        (
            "upstream",
            f"{{servers: [{{url: '{url}', weight: 2}}]}}",
            lambda c: [
                (s.kind, s.host, s.port, s.path, s.weight) for s in c.upstreams["students"].servers
            ],
            [("unix", "", 0, "/run/a.sock", 2)],
        )
        for url in ("unix:/run/a.sock", "unix:///run/a.sock")
    ),
    (
        "upstream",
        "{servers: [http://h], timeouts: {read: 5s}}",
        lambda c: (c.upstreams["students"].timeouts.read, c.upstreams["students"].timeouts.idle),
        (5.0, 1.0),
    ),
    ("upstream", "{servers: [http://h], retries: 0}", lambda c: c.upstreams["students"].retries, 0),
    (
        "upstream",
        "{servers: [http://h], identity: headers, identity_headers: {X-Id: 'u {user_id}'}}",
        lambda c: dict(c.upstreams["students"].identity_headers),
        {"X-Id": "u {user_id}"},
    ),
    (
        "upstream",
        "{servers: [http://h], identity: mint, mint: {issuer: students}}",
        lambda c: c.upstreams["students"].mint.lifetime,
        30.0,
    ),
    ("route", "{path: =/a, @TO}", lambda c: c.routes[0].name, "=/a"),
    ("route", "{path: /a, name: b, @TO}", lambda c: c.routes[0].name, "b"),
    (
        "route",
        "{path: /a, methods: [GET, M-SEARCH], hosts: ['*.Example.org', b_c], @TO}",
        lambda c: (c.routes[0].hosts, c.routes[0].name),
        (("*.example.org", "b_c"), "GET,M-SEARCH *.example.org,b_c/a"),
    ),
    (
        "route",
        "{path: /, require: {scope: [read], is_admin: true, level: 3}, @TO}",
        lambda c: dict(c.routes[0].require),
        {"scope": ("read",), "is_admin": True, "level": 3},
    ),
    ("route", "{path: /, auth: none, upstream: students}", lambda c: c.routes[0].issuers, ()),
    (
        "route",
        "{path: /, max_body_size: 1MiB, @TO}",
        lambda c: c.routes[0].max_body_size,
        1 << 20,
    ),
    ("route", "{path: /, @TO}", lambda c: c.routes[0].websocket, None),
    ("route", "{path: /, websocket: false, @TO}", lambda c: c.routes[0].websocket, None),
    ("route", "{path: /, websocket: true, @TO}", lambda c: c.routes[0].websocket.query, None),
    (
        "route",
        "{path: /, websocket: {subprotocol: jwt, query: token}, @TO}",
        lambda c: (c.routes[0].websocket.subprotocol, c.routes[0].websocket.query),
        ("jwt", "token"),
    ),
    ("server", "{revocation_sweep: 100ms}", lambda c: c.server.revocation_sweep, 0.1),
]


@pytest.mark.parametrize(
    ("section", "text", "of", "expected"), ACCEPTED, ids=[f"{s} {t}"[:70] for s, t, *_ in ACCEPTED]
)
def test_a_good_value_is_read(
    tmp_path: Path, section: str, text: str, of: object, expected: object
) -> None:
    config = load_text(tmp_path, file_with(**{section: text})).config

    assert callable(of)
    assert of(config) == expected


def test_a_relative_socket_is_beside_the_file(tmp_path: Path) -> None:
    text = file_with(server="{host: unix:run/b.sock}", upstream="{servers: [unix:run/a.sock]}")
    config = load_text(tmp_path, text).config

    assert config.upstreams["students"].servers[0].path == str(tmp_path / "run/a.sock")
    assert config.server.socket_path == tmp_path / "run/b.sock"
    assert config.server.host == f"unix:{tmp_path}/run/b.sock"


def test_an_address_is_no_socket(tmp_path: Path) -> None:
    assert load_text(tmp_path, file_with(server="{host: '::1'}")).config.server.socket_path is None


def test_the_configuration_is_frozen(tmp_path: Path) -> None:
    config: Config = load_text(tmp_path, file_with()).config

    with pytest.raises(ValueError, match="frozen"):
        config.server.port = 1
