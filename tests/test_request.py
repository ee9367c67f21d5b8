"""The one reading of a target."""

import pytest

from gateway.errors import RequestRefused
from gateway.request import RequestHead, parse_target, simplified


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


def test_several_lines_of_a_field_are_one_list() -> None:
    request = RequestHead(
        method="GET", target=b"/", path=b"/", query=b"",
        headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3")],
    )  # fmt: skip
    assert request.header(b"a") == b"1,3"
    assert request.header(b"c") is None


def test_fields_keep_their_spelling_when_some_are_left_out() -> None:
    head = RequestHead(
        method="GET",
        target=b"/",
        path=b"/",
        query=b"",
        headers=[(b"host", b"a"), (b"cookie", b"1"), (b"x-odd", b"2")],
        lines=[b"HOST: a\r\n", b"Cookie: 1\r\n", b"X-oDD: 2\r\n"],
    )
    kept = head.with_fields(each for each in head.fields() if each[0][0] != b"cookie")
    assert list(kept.fields()) == [
        ((b"host", b"a"), b"HOST: a\r\n"),
        ((b"x-odd", b"2"), b"X-oDD: 2\r\n"),
    ]


def test_fields_without_a_known_spelling_are_spelled_as_they_are() -> None:
    head = RequestHead(method="GET", target=b"/", path=b"/", query=b"", headers=[(b"host", b"a")])
    assert list(head.fields()) == [((b"host", b"a"), b"host: a\r\n")]
    assert head.with_fields(head.fields()).lines == [b"host: a\r\n"]
