"""What is read without the full parser is read as the full parser reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.headers import response_headers
from gateway.upstream.ordinary_answer import OrdinaryAnswer, OrdinaryAnswers
from tests import llhttp

ORDINARY = {
    "with-body": b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\na\r\nb",
    "without-reason": b"HTTP/1.1 404 \r\nContent-Length:0\r\n\r\n",
    "hop-by-hop": b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
    b"X: 1\r\nContent-Length: 0\r\n\r\n",
}
EXTRAORDINARY = {
    "interim": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n",
    "no-content": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no-length": b"HTTP/1.1 200 OK\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "names-fields": b"HTTP/1.1 200 OK\r\nConnection: x\r\nContent-Length: 0\r\n\r\n",
    "in-part": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
    "too-much": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc",
    "bare-lf": b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "head-alone": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
}


def assert_alike(answer: OrdinaryAnswer, data: bytes) -> None:
    seen = llhttp.response(data)
    assert (seen.completed, seen.keeps_alive) == (1, True)
    assert (answer.status, answer.reason, answer.body) == (
        seen.parser.get_status_code(),
        seen.reason,
        seen.body,
    )
    assert answer.headers == seen.headers
    passed = [b"%b: %b\r\n" % field for field in response_headers(seen.headers)]
    status = b"HTTP/1.1 %d %b\r\n" % (seen.parser.get_status_code(), seen.reason)
    assert [line for line in answer.lines if line] == [status, *passed]


@pytest.mark.parametrize("data", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_answer_is_read_alike_both_times(data: bytes) -> None:
    answers = OrdinaryAnswers()
    for _ in range(2):  # the second time from memory
        answer = answers.read(data)
        assert answer is not None
        assert_alike(answer, data)


@pytest.mark.parametrize("data", EXTRAORDINARY.values(), ids=EXTRAORDINARY)
def test_all_else_is_left_to_the_full_parser(data: bytes) -> None:
    assert OrdinaryAnswers().read(data) is None


@given(
    data=st.sampled_from(sorted([*ORDINARY.values(), *EXTRAORDINARY.values()])),
    at=st.integers(0, 100),
    put=st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"0", b"9", b"a", b"\xff"]),
    taken=st.integers(0, 2),
)
def test_a_changed_answer_is_read_as_by_llhttp_or_not_at_all(
    data: bytes, at: int, put: bytes, taken: int
) -> None:
    changed = data[:at] + put + data[at + taken :]
    if (answer := OrdinaryAnswers().read(changed)) is not None:
        assert_alike(answer, changed)
