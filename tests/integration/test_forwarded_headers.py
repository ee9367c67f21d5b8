"""What a real Django is told about the client: believed of trusted proxies alone.

The echo app takes header names with underscores, and believes SCRIPT_NAME and the like of its
peer, as Gunicorn does of the loopback: only the gateway keeps the forgeries away.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from examples.processes import Processes
from tests.integration.exchange import ask, meta_of, told
from tests.integration.servers import RunningGateway, start_gateway

Header = tuple[str, str]


def _config(echo: str, trusted: list[str]) -> dict[str, Any]:
    return {
        "server": {"trusted_proxies": trusted},
        "upstreams": {"echo": {"servers": [echo]}},
        "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
    }


@pytest.fixture(scope="module")
def untrusting(
    echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> RunningGateway:
    directory = tmp_path_factory.mktemp("untrusting")
    return start_gateway(_config(echo, []), directory=directory, children=children)


@pytest.fixture(scope="module")
def trusting(
    echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> RunningGateway:
    """It believes what the loopback and 10/8 say of their clients."""
    config = _config(echo, ["127.0.0.1/32", "10.0.0.0/8"])
    directory = tmp_path_factory.mktemp("trusting")
    return start_gateway(config, directory=directory, children=children)


CLAIMS_OF_A_CLIENT: Sequence[Header] = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("x_forwarded_for", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("x_forwarded_proto", "https"),
    ("X-Forwarded-Protocol", "ssl"),
    ("X-Forwarded-Ssl", "on"),
    ("X-Forwarded-Scheme", "https"),
    ("X-Url-Scheme", "https"),
    ("Front-End-Https", "on"),
    ("X-Forwarded-Host", "evil.example"),
    ("x_forwarded_host", "evil.example"),
    ("X-Forwarded-Port", "666"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Forwarded-User", "root"),
    ("Forwarded", "for=6.6.6.6;host=evil.example;proto=https"),
    ("X-Real-IP", "6.6.6.6"),
    ("x_real_ip", "6.6.6.6"),
    ("X-Client-IP", "6.6.6.6"),
    ("True-Client-IP", "6.6.6.6"),
    ("X-Cluster-Client-IP", "6.6.6.6"),
    ("X-Original-URL", "/evil"),
    ("X-Rewrite-URL", "/evil"),
    ("X-Original-Host", "evil.example"),
    ("X-Script-Name", "/evil"),
    ("SCRIPT_NAME", "/evil"),
    ("Script-Name", "/evil"),
    ("PATH_INFO", "/evil"),
    ("Path-Info", "/evil"),
    ("Proxy", "http://evil.example"),
    ("Remote-Addr", "6.6.6.6"),
    ("REMOTE_ADDR", "6.6.6.6"),
    ("X-Request-Id", "evil"),
]
OWN_WORDS = {
    "HTTP_X_FORWARDED_FOR": "127.0.0.1",
    "HTTP_X_FORWARDED_PROTO": "http",
    "HTTP_X_FORWARDED_HOST": "localhost",
    "HTTP_FORWARDED": 'for=127.0.0.1;host="localhost";proto=http',
}


@pytest.mark.parametrize("header", CLAIMS_OF_A_CLIENT, ids=[name for name, _ in CLAIMS_OF_A_CLIENT])
def test_a_client_is_not_believed_what_only_a_proxy_may_say(
    untrusting: RunningGateway, header: Header
) -> None:
    told_alone = meta_of(ask(untrusting.address, "GET", "/shop/"))
    answer = ask(untrusting.address, "GET", "/shop/", headers=[header, header])
    meta = meta_of(answer)
    moving = {"HTTP_X_REQUEST_ID", "REMOTE_PORT"}
    assert {k: v for k, v in meta.items() if k not in moving} == {
        k: v for k, v in told_alone.items() if k not in moving
    }
    assert meta["HTTP_X_REQUEST_ID"] != "evil"
    assert OWN_WORDS.items() <= meta.items()
    assert (meta["SCRIPT_NAME"], meta["PATH_INFO"]) == ("", "/shop/")
    assert answer.json()["scheme"] == "http"


CHAINS: Mapping[str, tuple[Sequence[Header], str]] = {
    "one": ([("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    "two-proxies": ([("X-Forwarded-For", "203.0.113.9, 10.0.0.7")], "203.0.113.9"),
    "forged-on-the-left": ([("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.7")], "203.0.113.9"),
    "several-lines": (
        [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")], "203.0.113.9",
    ),
    "with-a-port": ([("X-Forwarded-For", "203.0.113.9:4711")], "203.0.113.9"),
    "ipv6": ([("X-Forwarded-For", "[2001:db8::9]:4711")], "2001:db8::9"),
    "nonsense-on-the-left": ([("X-Forwarded-For", "evil<>, 203.0.113.9")], "203.0.113.9"),
    "no-chain": ([], "127.0.0.1"),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "client"), CHAINS.values(), ids=CHAINS)
def test_a_trusted_chain_is_read_from_the_right(
    trusting: RunningGateway, headers: Sequence[Header], client: str
) -> None:
    meta = meta_of(ask(trusting.address, "GET", "/", headers=headers))
    chain = meta["HTTP_X_FORWARDED_FOR"].split(", ")
    assert chain[-1] == "127.0.0.1"  # whom the gateway itself saw
    trusted = [address for address in chain if address.startswith(("127.0.0.1", "10."))]
    assert ([a for a in chain if a not in trusted] or ["127.0.0.1"])[-1] == client
    assert "evil" not in meta["HTTP_X_FORWARDED_FOR"]


def test_a_trusted_proxy_is_believed_the_scheme_and_the_host(trusting: RunningGateway) -> None:
    headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")]
    answer = ask(trusting.address, "GET", "/", headers=headers)
    meta = meta_of(answer)
    assert told(meta, "X-Forwarded-Proto", "X-Forwarded-Host") == {
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "shop.example",
    }
    assert answer.json()["scheme"] == "https"


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Host", "a b<>"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x_forwarded_proto", "https"),
        ("SCRIPT_NAME", "/evil"),
        ("Proxy", "http://evil.example"),
        ("X-Request-Id", "evil id"),
    ],
    ids=lambda header: header[0],
)
def test_even_a_trusted_proxy_can_not_say_nonsense(
    trusting: RunningGateway, header: Header
) -> None:
    meta = meta_of(ask(trusting.address, "GET", "/", headers=[header]))
    assert OWN_WORDS.items() <= meta.items()
    assert meta["SCRIPT_NAME"] == ""
    assert "HTTP_PROXY" not in meta
    assert meta["HTTP_X_REQUEST_ID"] != "evil id"


def test_the_access_log_names_the_client_behind_the_proxies(trusting: RunningGateway) -> None:
    path = "/logged-client/"
    headers = [("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.7")]
    ask(trusting.address, "GET", path, headers=headers)
    line = trusting.process.wait_for(
        lambda: next((x for x in trusting.process.output().splitlines() if path in x), None)
    )
    assert json.loads(line)["client"] == "203.0.113.9"
