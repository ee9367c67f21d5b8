"""Who the client is: believed from trusted proxies alone, read right to left."""

import pytest

from gateway.request import RequestHead
from gateway.upstream.forwarded import ForwardedPolicy


def request(peer: str | None, **fields: str) -> RequestHead:
    headers = [(n.replace("_", "-").encode(), v.encode()) for n, v in fields.items()]
    return RequestHead(method="GET", target=b"/", path=b"/", query=b"", headers=headers, peer=peer)


POLICY = ("10.0.0.0/8", "127.0.0.1/32", "::1/128", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "fields", "address", "chain"),
    [
        pytest.param("1.2.3.4", {"x_forwarded_for": "9.9.9.9"}, "1.2.3.4", "1.2.3.4", id="liar"),
        pytest.param("10.0.0.1", {}, "10.0.0.1", "10.0.0.1", id="a proxy that says nothing"),
        pytest.param(
            "10.0.0.1", {"x_forwarded_for": "1.2.3.4"}, "1.2.3.4", "1.2.3.4, 10.0.0.1", id="one hop"
        ),
        pytest.param(
            "10.0.0.1",
            {"x_forwarded_for": "6.6.6.6, 1.2.3.4, 10.9.9.9"},
            "1.2.3.4",
            "6.6.6.6, 1.2.3.4, 10.9.9.9, 10.0.0.1",
            id="the rightmost that is not trusted",
        ),
        pytest.param(
            "10.0.0.1",
            {"x_forwarded_for": "10.0.0.3, 10.0.0.2"},
            "10.0.0.3",
            "10.0.0.3, 10.0.0.2, 10.0.0.1",
            id="all trusted",
        ),
        pytest.param(
            "10.0.0.1",
            {"x_forwarded_for": "6.6.6.6, garbage, 1.2.3.4"},
            "1.2.3.4",
            "1.2.3.4, 10.0.0.1",
            id="nothing left of what is no address",
        ),
        pytest.param(
            "10.0.0.1",
            {"x_forwarded_for": "[2001:db9::1]:443, 1.2.3.4:5678"},
            "1.2.3.4",
            "2001:db9::1, 1.2.3.4, 10.0.0.1",
            id="ports and brackets",
        ),
        pytest.param(
            "::1", {"forwarded": 'for=6.6.6.6, For="[2001:db9::7]:1";proto=https'},
            "2001:db9::7", "::1", id="Forwarded alone",
        ),
        pytest.param(
            "::1", {"forwarded": "for=unknown"}, "::1", "::1", id="Forwarded of nobody"
        ),
        pytest.param("::ffff:10.0.0.1", {"x_forwarded_for": "1.2.3.4"}, "1.2.3.4",
                     "1.2.3.4, ::ffff:10.0.0.1", id="a mapped address"),
        pytest.param(None, {"x_forwarded_for": "9.9.9.9"}, "", "", id="a peer that is gone"),
        pytest.param("", {"x_forwarded_for": "1.2.3.4"}, "1.2.3.4", "1.2.3.4", id="a unix socket"),
        pytest.param("", {"x_forwarded_for": "6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4",
                     "6.6.6.6, 1.2.3.4, 10.0.0.2", id="proxies before a unix socket"),
        pytest.param("", {}, "", "", id="a unix socket that says nothing"),
        pytest.param("nonsense", {"x_forwarded_for": "9.9.9.9"}, "nonsense", "nonsense", id="odd"),
    ],
)  # fmt: skip
def test_the_client_and_the_chain(
    peer: str | None, fields: dict[str, str], address: str, chain: str
) -> None:
    client = ForwardedPolicy(POLICY).client_of(request(peer, **fields), b"example.org")
    assert client.address == address
    line = f"x-forwarded-for: {chain}\r\n".encode()
    assert client.lines.startswith(line if chain else b"x-forwarded-proto")


@pytest.mark.parametrize(
    ("fields", "proto", "host"),
    [
        ({}, b"http", b"example.org"),
        ({"x_forwarded_proto": "https"}, b"https", b"example.org"),
        ({"x_forwarded_proto": "http, HTTPS"}, b"https", b"example.org"),
        ({"x_forwarded_proto": "gopher"}, b"http", b"example.org"),
        ({"x_forwarded_host": "a.example, b.example:8443"}, b"http", b"b.example:8443"),
        ({"x_forwarded_host": 'evil"host'}, b"http", b"example.org"),
    ],
)
def test_scheme_and_host_of_a_trusted_proxy(
    fields: dict[str, str], proto: bytes, host: bytes
) -> None:
    client = ForwardedPolicy(POLICY).client_of(request("10.0.0.1", **fields), b"example.org")
    assert b"x-forwarded-proto: %b\r\nx-forwarded-host: %b\r\n" % (proto, host) in client.lines
    assert b'forwarded: for=10.0.0.1;host="%b";proto=%b\r\n' % (host, proto) in client.lines


def test_an_element_of_forwarded_is_appended_and_ipv6_is_quoted() -> None:
    client = ForwardedPolicy(POLICY).client_of(
        request("2001:db8::1", forwarded="for=1.2.3.4"), b"example.org"
    )
    assert client.address == "1.2.3.4"
    assert b'forwarded: for=1.2.3.4, for="[2001:db8::1]";host="example.org";proto=http\r\n' in (
        client.lines
    )


def test_the_memory_of_clients_is_bounded() -> None:
    policy = ForwardedPolicy(POLICY)
    for number in range(10_000):
        policy.client_of(request(f"9.{number >> 16}.{number >> 8 & 255}.{number & 255}"), b"h")
    assert len(policy._known) <= 4096
    assert len(policy._verdicts) <= 4096
