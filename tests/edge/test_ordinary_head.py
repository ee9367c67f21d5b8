"""What is read without the full parser is read as the full parser reads it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.edge.ordinary_head import OrdinaryHead, OrdinaryHeads
from tests import llhttp

ORDINARY = {
    "no-body": b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-oDD:1\r\n\r\n",
    "no-fields": b"DELETE / HTTP/1.1\r\n\r\n",
    "body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na\r\nb",
    "empty-body": b"PUT / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    "keep-alive": b"GET / HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n",
    "latin-1": b"GET / HTTP/1.1\r\nX: a\xe9 b\r\n\r\n",
}
EXTRAORDINARY = {
    "incomplete": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "pipelined": b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\n\r\n",
    "another-method": b"PURGE / HTTP/1.1\r\n\r\n",
    "absolute": b"GET http://a/ HTTP/1.1\r\n\r\n",
    "fragment": b"GET /#a HTTP/1.1\r\n\r\n",
    "not-ascii": b"GET /\xe9 HTTP/1.1\r\n\r\n",
    "two-blanks": b"GET  / HTTP/1.1\r\n\r\n",
    "bare-lf": b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
    "bare-cr": b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
    "nul": b"GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "blank-before-colon": b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
    "trailing-blank": b"GET / HTTP/1.1\r\nA: b \r\n\r\n",
    "empty-value": b"GET / HTTP/1.1\r\nA:\r\n\r\n",
    "chunked": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "signed-length": b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
    "length-list": b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na",
    "short-body": b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na",
    "long-body": b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nab",
    "close": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "names-fields": b"GET / HTTP/1.1\r\nConnection: keep-alive, x\r\n\r\n",
    "expect": b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    "proxy-close": b"GET / HTTP/1.1\r\nProxy-Connection: close\r\n\r\n",
    "many-fields": b"GET / HTTP/1.1\r\n%b\r\n" % (b"A: b\r\n" * 101),
    "large": b"GET / HTTP/1.1\r\nA: %b\r\n\r\n" % (b"b" * 33_000),
    "te": b"GET / HTTP/1.1\r\nTE: trailers\r\n\r\n",
}

_PIECES = st.sampled_from(
    sorted(
        {
            b"GET / HTTP/1.1\r\n",
            b"POST /a?b HTTP/1.1\r\n",
            b"HEAD /%41 HTTP/1.1\r\n",
            b"PRI * HTTP/2",
        }
        | {b"Host: a\r\n", b"Content-Length: 3\r\n", b"Content-Length:3\r\n", b"A: b\r\n", b"\r\n"}
        | {b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\n"}
        | {b"Proxy-Connection: close\r\n", b"Proxy-Connection: keep-alive\r\n"}
        | {
            b"abc",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b":",
            b"\0",
            b"A:  b\r\n",
            b"\xe9",
            b"0\r\n\r\n",
            b"#",
        }
        | {b"Content-Length: 03\r\n", b"X_y: 1\r\n", b"X: a\tb\r\n", b"X: \x7f\r\n", b"(: 1\r\n"}
    )
)


def assert_alike(head: OrdinaryHead, data: bytes) -> None:
    seen = llhttp.request(data)
    assert (seen.begun, seen.completed, seen.keeps_alive) == (1, 1, True)
    assert head.method == seen.parser.get_method().decode()
    assert (head.target, head.body) == (seen.target, seen.body)
    assert head.headers == [(name.lower(), value) for name, value in seen.headers]
    assert head.lines == [b"%b: %b\r\n" % field for field in seen.headers]


@pytest.mark.parametrize("data", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_request_is_read_alike_both_times(data: bytes) -> None:
    heads = OrdinaryHeads()
    for _ in range(2):  # the second time from memory
        head = heads.read(data)
        assert head is not None
        assert_alike(head, data)


@pytest.mark.parametrize("data", EXTRAORDINARY.values(), ids=EXTRAORDINARY)
def test_all_else_is_left_to_the_full_parser(data: bytes) -> None:
    assert OrdinaryHeads().read(data) is None


@given(pieces=st.lists(_PIECES, max_size=10))
@example(pieces=[b"POST /a?b HTTP/1.1\r\n", b"Content-Length: 3\r\n", b"\r\n", b"abc"])
def test_what_is_read_is_read_as_by_llhttp(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    if (head := OrdinaryHeads().read(data)) is not None:
        assert_alike(head, data)


@given(
    data=st.sampled_from(sorted(ORDINARY.values())),
    at=st.integers(0, 80),
    byte=st.binary(max_size=2),
)
def test_a_changed_request_is_read_as_by_llhttp_or_not_at_all(
    data: bytes, at: int, byte: bytes
) -> None:
    changed = data[:at] + byte + data[at + 1 :]
    if (head := OrdinaryHeads().read(changed)) is not None:
        assert_alike(head, changed)
