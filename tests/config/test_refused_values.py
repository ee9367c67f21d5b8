"""Every key by itself: the line, key path and words of each refusal."""

import json
from pathlib import Path

import pytest

from tests.config.samples import SECRET, faults_of, file_with

PREFIX = "must be 1 to 64 letters, digits and . _ : - alone"

REFUSED = [
    # server
    ("server", "{port: 80a}", "1: server.port: must be a whole number"),
    ("server", "{port: true}", "1: server.port: must be a whole number"),
    ("server", "{port: 1.5}", "1: server.port: must be a whole number"),
    ("server", "{port: null}", "1: server.port: must be a whole number"),
    ("server", "{port: 65536}", "1: server.port: must be less than or equal to 65535"),
    ("server", "{port: -1}", "1: server.port: must be greater than or equal to 0"),
    ("server", "{host: 5}", "1: server.host: must be text; put it in quotes"),
    ("server", "{host: null}", "1: server.host: must not be null"),
    ("server", "{host: ''}", "1: server.host: must not be empty"),
    ("server", '{host: "a\\nb"}', "1: server.host: must not contain control characters"),
    ("server", "{host: 'unix:'}", "1: server.host: must be unix:/path"),
    ("server", "{host: unix:/" + "x" * 108 + "}", "1: server.host: a socket's path may have 107"),
    ("server", "{socket_mode: 0660}", "1: server.socket_mode: must be a file mode in quotes, such"),
    ("server", "{socket_mode: '8660'}", "1: server.socket_mode: must be a file mode in quotes"),
    ("server", "{socket_mode: u=rw}", "1: server.socket_mode: must be a file mode in quotes"),
    ("server", "{prot: 1}", "1: server.prot: unknown key; did you mean port?"),
    ("server", "{zzzzz: 1}", "1: server.zzzzz: unknown key; known here: host, port, socket_mode,"),
    ("server", "5", "1: server: must be a mapping of keys to values"),
    ("server", "{keep_alive: 5}", "1: server.keep_alive: must be a duration with its unit"),
    ("server", "{keep_alive: 5x}", "1: server.keep_alive: must be a duration with its unit"),
    ("server", "{keep_alive: -5s}", "1: server.keep_alive: must be a duration with its unit"),
    ("server", "{keep_alive: 1.5}", "1: server.keep_alive: must be a duration with its unit"),
    ("server", "{body_timeout: 0s}", "1: server.body_timeout: must be longer than 0s"),
    ("server", "{max_body_size: 1MB}", "1: server.max_body_size: must be a size, such as 512"),
    ("server", "{max_body_size: true}", "1: server.max_body_size: must be a size, such as 512"),
    ("server", "{max_body_size: -1}", "1: server.max_body_size: must be a size, such as 512"),
    (
        "upstream",
        "{servers: [http://h, {url: http://h}]}",
        "6: upstreams.students.servers[1]: the same",
    ),
    ("server", "{max_header_count: 0}", "1: server.max_header_count: must be greater than or eq"),
    ("server", "{trusted_proxies: 10.0.0.0/8}", "1: server.trusted_proxies: must be a list"),
    ("server", "{trusted_proxies: [10.1.0.0/8]}", "1: server.trusted_proxies[0]: has bits set"),
    ("server", "{trusted_proxies: [lan]}", "1: server.trusted_proxies[0]: must be a network"),
    ("server", "{trusted_proxies: [5]}", "1: server.trusted_proxies[0]: must be a network"),
    # store, admin, logging, tracing
    ("store", "{url: 'mysql://x'}", "2: store.url: must be memory://, or the place of a Redis"),
    *(
        ("store", f"{{key_prefix: {prefix}}}", f"2: store.key_prefix: {PREFIX}")
        for prefix in ("''", "'a{b}'", "'{'", "'}'", "a b", "' a'", r'"a\nb"', r'"a\0"', "é", "a/b")
    ),
    ("store", "{key_prefix: " + "x" * 65 + "}", f"2: store.key_prefix: {PREFIX}"),
    ("store", "{max_staleness: 1999ms}", "2: store.max_staleness: must be 2s or longer"),
    ("store", "{max_staleness: 0s}", "2: store.max_staleness: must be 2s or longer"),
    ("store", "{on_outage: maybe}", "2: store.on_outage: must be deny or allow"),
    ("admin", "{port: 8080}", "9: admin.port: the admin listener needs an address of its own"),
    ("logging", "{level: trace}", "10: logging.level: must be debug, info, warning or error"),
    ("logging", "{access_log: 5}", "10: logging.access_log: must be true or false"),
    ("logging", "{access_log: perhaps}", "10: logging.access_log: must be true or false"),
    ("tracing", "{otlp_endpoint: 'ftp://x'}", "11: tracing.otlp_endpoint: must be an http://"),
    ("tracing", "{sample_ratio: 1.5}", "11: tracing.sample_ratio: must be less than or equal to 1"),
    ("tracing", "{sample_ratio: '0.5'}", "11: tracing.sample_ratio: must be a number"),
    # issuers
    ("issuer", "{}", "4: issuers.students.signing_key: required without verifying_key or jwk_url"),
    ("issuer", "{signing_key: ''}", "4: issuers.students.signing_key: is empty"),
    ("issuer", "{signing_key: 12345}", "4: issuers.students.signing_key: must be text (put it"),
    ("issuer", "{signing_key: {path: x}}", "4: issuers.students.signing_key: must be text or {f"),
    ("issuer", "{signing_key: {file: x, a: b}}", "4: issuers.students.signing_key: given twice"),
    ("issuer", "{signing_key: {file: 5}}", "4: issuers.students.signing_key: `file` must be"),
    ("issuer", "{signing_key: {file: no}}", "4: issuers.students.signing_key: `file` must be"),
    ("issuer", "{signing_key: {file: gone}}", "4: issuers.students.signing_key: can't read the f"),
    ("issuer", "{verifying_key: {file: gone}}", "4: issuers.students.verifying_key: can't read"),
    ("issuer", "{verifying_key: [k, '']}", "4: issuers.students.verifying_key[1]: is empty"),
    ("issuer", f"{{signing_key: {SECRET}, profile: x}}", "4: issuers.students.profile: must be s"),
    ("issuer", f"{{signing_key: {SECRET}, algorithm: none}}", "4: issuers.students.algorithm: mu"),
    ("issuer", f"{{signing_key: {SECRET}, algorithm: []}}", "4: issuers.students.algorithm: need"),
    (
        "issuer",
        "{verifying_key: k, algorithm: [RS256, ES256]}",
        "4: issuers.students.algorithm: mixes families of keys: RSA, elliptic curves",
    ),
    (
        "issuer",
        "{jwk_url: https://id.example.org/jwks}",
        "4: issuers.students.jwk_url: holds public keys, so algorithm can't be one of HMAC",
    ),
    ("issuer", "{jwk_url: jwks.json}", "4: issuers.students.jwk_url: must be an http:// or"),
    ("issuer", "{jwk_url: 'http://[x'}", "4: issuers.students.jwk_url: is not a valid URL"),
    ("issuer", "{jwk_url: 'http://h:x/'}", "4: issuers.students.jwk_url: is not a valid URL"),
    ("issuer", "{jwk_url: 'http://u:p@h/'}", "4: issuers.students.jwk_url: must not contain a u"),
    ("issuer", "{jwk_url: 'http://h/#a'}", "4: issuers.students.jwk_url: must be a URL without"),
    (
        "issuer",
        "{@ISSUER, profile_version: '6.0'}",
        '4: issuers.students.profile_version: must be a release of the package, such as "5.5"',
    ),
    (
        "issuer",
        "{@ISSUER, profile: jwt, profile_version: '5.5'}",
        "4: issuers.students.profile_version: only the profiles of packages have a version",
    ),
    (
        "issuer",
        "{@ISSUER, profile: drf-jwt, profile_version: '5.5'}",
        '4: issuers.students.profile_version: must be a release of the package, such as "1.19"',
    ),
    (
        "issuer",
        "{@ISSUER, auth_header_types: []}",
        "4: issuers.students.auth_header_types: needs at least one entry",
    ),
    (
        "issuer",
        "{@ISSUER, auth_header_types: [a b]}",
        "4: issuers.students.auth_header_types[0]: must be one word, such as Bearer",
    ),
    (
        "issuer",
        "{@ISSUER, auth_header_name: X_Token}",
        "4: issuers.students.auth_header_name: WSGI servers drop header names with underscores",
    ),
    (
        "issuer",
        "{@ISSUER, auth_header_name: Host}",
        "4: issuers.students.auth_header_name: this header belongs to the connection",
    ),
    (
        "issuer",
        "{@ISSUER, upstream: studnts}",
        "4: issuers.students.upstream: no upstream of this name; did you mean students?",
    ),
    # upstreams
    ("upstream", "{}", "6: upstreams.students.servers: required, but not given"),
    ("upstream", "{servers: []}", "6: upstreams.students.servers: needs at least one entry"),
    ("upstream", "{servers: http://h}", "6: upstreams.students.servers: must be a list"),
    ("upstream", "{servers: [https://h]}", "6: upstreams.students.servers[0].url: https upstrea"),
    ("upstream", "{servers: [h:1]}", "6: upstreams.students.servers[0].url: must be http://host"),
    ("upstream", "{servers: ['http://']}", "6: upstreams.students.servers[0].url: must be http:"),
    ("upstream", "{servers: ['http://h:0']}", "6: upstreams.students.servers[0].url: the port m"),
    ("upstream", "{servers: ['http://h:70000']}", "6: upstreams.students.servers[0].url: is not"),
    ("upstream", "{servers: ['http://u@h']}", "6: upstreams.students.servers[0].url: must not c"),
    ("upstream", "{servers: ['http://h/api']}", "6: upstreams.students.servers[0].url: must end"),
    ("upstream", "{servers: ['http://h?']}", "6: upstreams.students.servers[0].url: must end be"),
    ("upstream", "{servers: ['unix:']}", "6: upstreams.students.servers[0].url: must be unix:/p"),
    (
        "upstream",
        "{servers: [unix:/" + "x" * 108 + "]}",
        "6: upstreams.students.servers[0].url: a socket's path may have 107 bytes at most",
    ),
    (
        "upstream",
        "{servers: [{url: http://h, weight: 0}]}",
        "6: upstreams.students.servers[0].weight: must be greater than or equal to 1",
    ),
    (
        "upstream",
        "{servers: [{url: http://h, wieght: 1}]}",
        "6: upstreams.students.servers[0].wieght: unknown key; did you mean weight?",
    ),
    (
        "upstream",
        "{@SERVERS, timeouts: {read: soon}}",
        "6: upstreams.students.timeouts.read: must be a duration",
    ),
    (
        "upstream",
        "{@SERVERS, identity: header}",
        "6: upstreams.students.identity: must be passthrough, headers, mint, drf_token or none",
    ),
    (
        "upstream",
        "{@SERVERS, identity: drf_token}",
        "6: upstreams.students.identity: this value is not supported yet",
    ),
    (
        "upstream",
        "{@SERVERS, identity: headers}",
        "6: upstreams.students.identity: headers needs identity_headers",
    ),
    (
        "upstream",
        "{@SERVERS, identity_headers: {X-User: '{user_id}'}}",
        "6: upstreams.students.identity_headers: only for identity: headers",
    ),
    *(
        (
            "upstream",
            "{@SERVERS, identity: headers, identity_headers: {NAME: '{user_id}'}}".replace(
                "NAME", name
            ),
            f"6: upstreams.students.identity_headers.{name}: {why}",
        )
        for name, why in {
            "Host": "this header belongs to the connection or to the gateway",
            "transfer-encoding": "this header belongs",
            "Connection": "this header belongs",
            "Content-Length": "this header belongs",
            "X-Forwarded-User": "this header belongs",
            "X_User": "WSGI servers drop header names with underscores; write dashes",
            "a b": "is not a valid header name",
        }.items()
    ),
    *(
        (
            "upstream",
            "{@SERVERS, identity: headers, identity_headers: {X-User: %}}".replace(
                "%", json.dumps(template)
            ),
            "6: upstreams.students.identity_headers.X-User: must be ASCII text with {claim}",
        )
        for template in ("{user id}", "{", "}", "{}", "{{a}}", "{a", "é", "a\tb", "")
    ),
    (
        "upstream",
        "{@SERVERS, identity: headers, identity_headers: {X-User: '{a}', x-user: '{b}'}}",
        "6: upstreams.students.identity_headers.x-user: the same header as one before",
    ),
    (
        "upstream",
        "{@SERVERS, identity: mint}",
        "6: upstreams.students.identity: mint needs mint: {issuer: NAME}",
    ),
    (
        "upstream",
        "{@SERVERS, mint: {issuer: students}}",
        "6: upstreams.students.mint: only for identity: mint",
    ),
    (
        "upstream",
        "{@SERVERS, identity: mint, mint: {issuer: student}}",
        "6: upstreams.students.mint.issuer: no issuer of this name; did you mean students?",
    ),
    # routes
    ("route", "{path: /, issuers: [students]}", "8: routes[0].upstream: required, but not given"),
    ("route", "{@TO}", "8: routes[0].path: required, but not given"),
    ("route", "word", "8: routes[0]: must be a mapping of keys to values"),
    ("route", "{path: api/, @TO}", "8: routes[0].path: must start with / (a prefix) or =/"),
    ("route", "{path: '==/', @TO}", "8: routes[0].path: must start with / (a prefix) or =/"),
    ("route", "{path: /a//b, @TO}", "8: routes[0].path: must not contain //"),
    ("route", "{path: /a/../b, @TO}", "8: routes[0].path: must not contain . or .."),
    ("route", "{path: /a/., @TO}", "8: routes[0].path: must not contain . or .."),
    ("route", "{path: '/a?b', @TO}", "8: routes[0].path: must not contain spaces, control"),
    ("route", "{path: '/a#b', @TO}", "8: routes[0].path: must not contain spaces, control"),
    ("route", '{path: "/a\\x01", @TO}', "8: routes[0].path: must not contain spaces, contr"),
    ("route", "{path: /a%20b, @TO}", "8: routes[0].path: must be written decoded"),
    ("route", "{path: /, methods: [get], @TO}", "8: routes[0].methods[0]: write methods in u"),
    ("route", "{path: /, methods: [], @TO}", "8: routes[0].methods: needs at least one entry"),
    ("route", "{path: /, methods: [TRACE], @TO}", "8: routes[0].methods[0]: CONNECT and TRA"),
    ("route", "{path: /, hosts: ['a:80'], @TO}", "8: routes[0].hosts[0]: must be a host nam"),
    ("route", "{path: /, hosts: ['*'], @TO}", "8: routes[0].hosts[0]: must be a host name"),
    ("route", "{path: /, hosts: ['a.*.b'], @TO}", "8: routes[0].hosts[0]: must be a host na"),
    ("route", "{path: /, auth: yes, @TO}", "8: routes[0].auth: must be required, optional o"),
    ("route", "{path: /, upstream: students}", "8: routes[0].auth: required needs issuers: [NAM"),
    (
        "route",
        "{path: /, auth: optional, upstream: students}",
        "8: routes[0].auth: optional needs issuers: [NAME]",
    ),
    (
        "route",
        "{path: /, auth: none, require: {a: b}, upstream: students}",
        "8: routes[0].require: needs a token; auth is none",
    ),
    ("route", "{path: /, require: {a: null}, @TO}", "8: routes[0].require.a: must be text, a"),
    ("route", "{path: /, require: {a: []}, @TO}", "8: routes[0].require.a: must be text, a n"),
    ("route", "{path: /, require: {a: {b: c}}, @TO}", "8: routes[0].require.a: must be text"),
    (
        "route",
        "{path: /, issuers: [students], upstream: teachers}",
        "8: routes[0].upstream: no upstream of this name; known: students",
    ),
    (
        "route",
        "{path: /, issuers: [students, teachers], upstream: students}",
        "8: routes[0].issuers[1]: no issuer of this name; known: students",
    ),
    (
        "route",
        "{path: /, issuers: [students, students], upstream: students}",
        "8: routes[0].issuers[1]: named twice",
    ),
    ("route", "{path: /, rate_limit: {rate: 0/s}, @TO}", "8: routes[0].rate_limit.rate: must"),
    ("route", "{path: /, rate_limit: {rate: 5}, @TO}", "8: routes[0].rate_limit.rate: must b"),
    (
        "route",
        "{path: /, auth: none, websocket: {query: token}, upstream: students}",
        "8: routes[0].websocket: names where a token stands; auth is none",
    ),
    (
        "route",
        "{path: /, methods: [POST], websocket: true, @TO}",
        "8: routes[0].websocket: a WebSocket is asked for by GET, which methods leaves out",
    ),
    (
        "route",
        "{path: /, websocket: {subprotocol: 'a b'}, @TO}",
        "8: routes[0].websocket.subprotocol: must be one word, such as access_token",
    ),
    (
        "route",
        "{path: /, websocket: {query: 'a&b'}, @TO}",
        "8: routes[0].websocket.query: a name has letters, digits, - and _ alone",
    ),
    ("route", "{path: /, websocket: yess, @TO}", "8: routes[0].websocket: must be a mapping of"),
    ("server", "{revocation_sweep: 0s}", "1: server.revocation_sweep: must be longer than 0s"),
    ("route", "{path: /, cors: {origins: [x]}, @TO}", "8: routes[0].cors.origins[0]: must be"),
]


@pytest.mark.parametrize(
    ("section", "text", "fault"), REFUSED, ids=[f"{s} {t}"[:70] for s, t, _ in REFUSED]
)
def test_a_wrong_value_is_one_fault_with_line_key_and_reason(
    tmp_path: Path, section: str, text: str, fault: str
) -> None:
    faults = faults_of(tmp_path, file_with(**{section: text}))

    assert len(faults) == 1, faults
    assert faults[0].startswith(f"config.yaml:{fault}")
