"""The one reading of a target and a Host."""

import pytest

from gateway.errors import RequestRefused
from gateway.request import RequestHead, host_of, parse_target, simplified


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a/b", b"/a/b", b""),
        (b"/a/b/?c=d", b"/a/b/", b"c=d"),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/%61", b"/a", b""),
        (b"/a%2Fb", b"/a/b", b""),
        (b"/%2561", b"/%61", b""),
        (b"//a", b"//a", b""),
        (b"/a;b", b"/a;b", b""),
        (b"/.a/..b/c.", b"/.a/..b/c.", b""),
        (b"/...", b"/...", b""),
        (b"/%C3%A9", b"/\xc3\xa9", b""),
        (b"/a%20b", b"/a b", b""),
    ],
)
def test_a_target_is_decoded_once(target: bytes, path: bytes, query: bytes) -> None:
    assert parse_target(target) == (path, query)


@pytest.mark.parametrize(
    "target",
    [
        b"", b"a", b"?a", b"*", b"http://a/b", b"/.", b"/..", b"/a/.", b"/../a", b"/a/./b",
        b"/a/..?b", b"/a/..;x/b", b"/%2e%2e/a", b"/a%2f..", b"/a\\b", b"/a/%5c..%5c", b"/a%",
        b"/a%2", b"/a%zz", b"/a%00", b"/a%0d", b"/%7f", b"/\xe9", b"/a b", b"/a#b", b"/a?b#c",
        b"/a?b\x00",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(target: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_target(target)
    assert (refused.value.status, refused.value.reason) == (400, "path_invalid")


@pytest.mark.parametrize(
    ("path", "plain"),
    [(b"/a/b", None), (b"//a", b"/a"), (b"/a///b//", b"/a/b/"), (b"/a\\b", b"/a/b")],
)
def test_how_a_server_that_merges_slashes_reads_it(path: bytes, plain: bytes | None) -> None:
    assert simplified(path) == plain


def head(*hosts: bytes, version: str = "1.1") -> RequestHead:
    fields = [(b"host", host) for host in hosts]
    return RequestHead(
        method="GET", target=b"/", path=b"/", query=b"", headers=fields, http_version=version
    )


@pytest.mark.parametrize(
    "host", [b"a", b"a.b:80", b"127.0.0.1:8000", b"[::1]", b"[2001:db8::1]:443", b"a_b-c.d"]
)
def test_a_valid_host(host: bytes) -> None:
    assert host_of(head(host)) == host


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"a/b", b"a:b", b"a,b", b"[::1", b"a@b", b"a:", b"\xe9"]
)
def test_an_invalid_host_is_refused(host: bytes) -> None:
    with pytest.raises(RequestRefused):
        host_of(head(host))


def test_exactly_one_host_except_of_old() -> None:
    with pytest.raises(RequestRefused):
        host_of(head(b"a", b"a"))
    with pytest.raises(RequestRefused):
        host_of(head())
    assert host_of(head(version="1.0")) is None


def test_several_lines_of_a_field_are_one_list() -> None:
    request = RequestHead(
        method="GET", target=b"/", path=b"/", query=b"",
        headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")],
    )  # fmt: skip
    assert request.header(b"a") == b"1,3"
    assert request.header(b"c") is None
