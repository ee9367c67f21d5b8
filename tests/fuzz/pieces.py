"""What requests are made of, good and bad: the vocabulary of the property tests and the fuzzer."""

from hypothesis import strategies as st

START_LINES = (
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b=c HTTP/1.1\r\n",
    b"HEAD /%41 HTTP/1.1\r\n",
    b"PUT //a HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"GET http://a/ HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"TRACE / HTTP/1.1\r\n",
    b"GET / HTTP/2.0\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"GET /\xe9 HTTP/1.1\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\n",
    b"get / HTTP/1.1\r\n",
    b"GET /\t HTTP/1.1\r\n",
    b"GET / HTTP/1.1 \r\n",
)
FIELDS = (
    b"Host: a\r\n",
    b"Host: a\r\nHost: b\r\n",
    b"Host:\r\n",
    b"Host: a b\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: +3\r\n",
    b"Content-Length: 03\r\n",
    b"Content-Length: 0x3\r\n",
    b"Content-Length:\r\n",
    b"Content-Length : 3\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: Chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: chunked \r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: x, close\r\n",
    b"Connection: content-length\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
    b"X: 1\r\n",
    b"X: 1\r\n 2\r\n",
    b" X: 1\r\n",
    b"X : 1\r\n",
    b"X\r\n",
    b": 1\r\n",
    b"X: 1\n",
    b"X: \x00\r\n",
    b"X: a\rb\r\n",
    b"X_y: 1\r\n",
    b"X: \xe9\r\n",
    b"X:1\r\n",
    b"X:\t1\t\r\n",
    b"(: 1\r\n",
)
BODIES = (
    b"abc",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    b"0\r\n\r\n",
    b"3\nabc\n0\n\n",
    b"0003\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"3 \r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"-1\r\n",
    b"3;\nabc\r\n0\r\n\r\n",
    b"g\r\n",
    b"\r\n",
)
ODD = (b"\r\n", b"\n", b"\r", b" ", b"\x00", b"\xff", b"\t", b":", b"GET ", b"HTTP/1.1")

_fields = st.lists(st.sampled_from(FIELDS), max_size=4).map(b"".join)
_good = st.sampled_from((b"Host: a\r\n", b"Host: a\r\nX: 1\r\n", b""))
_requests = st.builds(
    lambda start, good, fields, body: start + good + fields + b"\r\n" + body,
    st.sampled_from(START_LINES) | st.just(START_LINES[1]),
    _good,
    _fields,
    st.just(b"") | st.sampled_from(BODIES),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """What a client sends on one connection: a few requests, some spoilt at one place."""
    data = b"".join(draw(st.lists(_requests, min_size=1, max_size=3)))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        put = draw(st.sampled_from(ODD) | st.binary(max_size=2))
        data = data[:at] + put + data[at + draw(st.integers(0, 2)) :]
    return data


@st.composite
def reads(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes as they may arrive."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    ends = [*cuts, len(data)]
    return [data[start:end] for start, end in zip([0, *cuts], ends, strict=True) if end > start]
