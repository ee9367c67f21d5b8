"""A client gets an upstream's answer as it is, or sees that it is not whole."""

import re
from typing import NamedTuple

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.harness import Harness
from tests.fuzz.pieces import ODD, reads

_REASON = re.compile(rb"^(HTTP/1\.[01] [0-9]{3} )[^\r\n]*")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STATUS_LINES = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 404 \r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switch\r\n",
    b"HTTP/2 200 OK\r\n",
    b"HTTP/1.1 99 Low\r\n",
    b"HTTP/1.1 OK\r\n",
)
FIELDS = (
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: content-length\r\n",
    b"X: 1\r\n",
    b"X: 1\r\n 2\r\n",
    b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
    b"X : 1\r\n",
    b"X: \xe9\r\n",
    b"",
)
BODIES = (
    b"",
    b"abc",
    b"ab",
    b"abcd",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    b"g\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
)


class Read(NamedTuple):
    """An answer as far as it came."""

    status: int
    body: bytes
    is_whole: bool


def read(data: bytes) -> Read | None:
    """What h11's client role reads of these bytes and the end behind them."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    parser.send(h11.EndOfMessage())
    status, body = 0, b""
    # llhttp skips empty lines before an answer, and the gateway writes a bad reason phrase anew.
    parser.receive_data(_REASON.sub(rb"\1", data.lstrip(b"\r\n")))
    parser.receive_data(b"")
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError:
            return Read(status, body, is_whole=False) if status else None
        match event:
            case h11.Response():
                status = event.status_code
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage():
                return Read(status, body, is_whole=True)
            case h11.ConnectionClosed() | h11.NEED_DATA | h11.PAUSED:
                return None


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bool]:
    """An answer, and whether it was spoilt, not only cut."""
    data = (
        draw(st.sampled_from(STATUS_LINES))
        + b"".join(draw(st.lists(st.sampled_from(FIELDS), max_size=3)))
        + b"\r\n"
        + draw(st.sampled_from(BODIES))
    )
    if draw(st.booleans()):  # cut
        data = data[: draw(st.integers(0, len(data)))]
    is_spoilt = draw(st.booleans())
    if is_spoilt:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.sampled_from(ODD)) + data[at + draw(st.integers(0, 2)) :]
    return data, is_spoilt


def assert_faithful(
    harness: Harness, pieces: list[bytes], *, is_fast: bool, is_spoilt: bool
) -> None:
    outcome = harness.run([GET], is_fast=is_fast, scripted=pieces)
    assert not outcome.defects, outcome.defects
    direct, got = read(b"".join(pieces)), read(outcome.answered)
    if got is None:
        assert not outcome.answered or outcome.is_closed
        return
    if got.status == 502 and b'"code":"upstream_broken"' in got.body:
        return  # a stricter reader than h11 is welcome
    if not got.is_whole:
        assert outcome.is_closed
        return
    if direct is None and is_spoilt:
        return  # llhttp bears some spoilt heads that h11 does not
    assert direct is not None, outcome.answered
    assert direct.is_whole, outcome.answered
    assert (got.status, got.body) == (direct.status, direct.body)


@given(data=st.data(), is_fast=st.booleans())
def test_a_client_gets_the_whole_answer_or_sees_that_it_is_not(
    harness: Harness, data: st.DataObject, is_fast: bool
) -> None:
    answer, is_spoilt = data.draw(answers())
    assert_faithful(harness, data.draw(reads(answer)), is_fast=is_fast, is_spoilt=is_spoilt)


@given(is_fast=st.booleans())
@example(is_fast=True)
def test_every_cut_of_a_body_is_seen(harness: Harness, is_fast: bool) -> None:
    framed = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    )
    for answer in framed:
        for end in range(1, len(answer)):
            outcome = harness.run([GET], is_fast=is_fast, scripted=[answer[:end]])
            got = read(outcome.answered)
            assert outcome.is_closed or (got is not None and got.status == 502)
            assert got is None or not got.is_whole or got.status == 502
