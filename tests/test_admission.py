"""What a request's head must be like."""

import pytest

from gateway.admission import Admission, HeadLimits
from gateway.errors import RequestRefused
from gateway.request import NO_BODY, RequestHead

HOST = (b"host", b"example.org")


def head(
    *fields: tuple[bytes, bytes], method: str = "GET", target: bytes = b"/", version: str = "1.1"
) -> RequestHead:
    return RequestHead(
        method=method, target=target, path=b"/", query=b"", headers=fields, http_version=version
    )


def refusal(request: RequestHead) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as refused:
        Admission(HeadLimits(url=100, head=500, fields=10)).admit(request)
    return refused.value.status, refused.value.reason


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"a", "a"),
        (b"Api.Example.ORG:80", "api.example.org"),
        (b"a.b.", "a.b"),
        (b"127.0.0.1:8000", "127.0.0.1"),
        (b"[::1]", "::1"),
        (b"[2001:DB8::1]:443", "2001:db8::1"),
        (b"a_b-c.d", "a_b-c.d"),
    ],
)
def test_a_valid_host_and_the_name_that_routes(host: bytes, name: str) -> None:
    admission = Admission(HeadLimits())
    for _ in range(2):
        admitted = admission.admit(head((b"host", host)))
        assert (admitted.host, admitted.host_name, admitted.body) == (host, name, NO_BODY)


@pytest.mark.parametrize(
    "host",
    [b"", b"a b", b"a/b", b"a:b", b"a,b", b"[::1", b"a@b", b"a:", b"\xe9", b'a"', b"a:123456"],
)
def test_an_invalid_host_is_refused(host: bytes) -> None:
    assert refusal(head((b"host", host))) == (400, "host_invalid")


def test_exactly_one_host_is_asked_for_except_of_old() -> None:
    assert refusal(head(HOST, HOST)) == (400, "host_invalid")
    assert refusal(head()) == (400, "host_invalid")
    admitted = Admission(HeadLimits()).admit(head(version="1.0"))
    assert (admitted.host, admitted.host_name) == (None, "")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (head(HOST, target=b"/" + b"a" * 100), (414, "url_too_long")),
        (head(HOST, *[(b"a", b"b")] * 10), (431, "header_too_large")),
        (head(HOST, (b"a", b"b" * 500)), (431, "header_too_large")),
        (head(HOST, method="CONNECT"), (405, "method_refused")),
        (head(HOST, method="TRACE"), (405, "method_refused")),
        (head(HOST, (b"upgrade", b"websocket, H2C")), (400, "upgrade_refused")),
    ],
    ids=["long target", "many fields", "large fields", "CONNECT", "TRACE", "h2c"],
)
def test_what_is_never_looked_at(request_: RequestHead, expected: tuple[int, str]) -> None:
    assert refusal(request_) == expected


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], 0),
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b"12")], 12),
        ([(b"transfer-encoding", b"chunked")], None),
        ([(b"transfer-encoding", b"Chunked")], None),
    ],
)
def test_the_framing_of_a_body(fields: list[tuple[bytes, bytes]], length: int | None) -> None:
    body = Admission(HeadLimits()).admit(head(HOST, *fields)).body
    assert body.length == length
    assert body.is_empty is (length == 0)
    assert (body is NO_BODY) is (not fields)


@pytest.mark.parametrize(
    "fields",
    [
        [(b"content-length", b"1"), (b"content-length", b"1")],
        [(b"content-length", b"1, 1")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"")],
        [(b"content-length", b"\xb2")],
        [(b"content-length", b"9" * 19)],
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"1")],
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
    ],
)
def test_doubtful_framing_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    assert refusal(head(HOST, *fields)) == (400, "framing_invalid")


def test_an_old_request_has_no_chunks() -> None:
    request = head(HOST, (b"transfer-encoding", b"chunked"), version="1.0")
    assert refusal(request) == (400, "framing_invalid")


def test_the_memory_of_hosts_is_bounded() -> None:
    admission = Admission(HeadLimits())
    for number in range(5000):
        assert admission.admit(head((b"host", b"h%d" % number))).host_name == f"h{number}"
    assert len(admission._names) <= 4096
