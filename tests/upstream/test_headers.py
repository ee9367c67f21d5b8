"""Which fields cross, both ways."""

import pytest

from gateway.errors import RequestRefused
from gateway.request import NO_BODY, Body, RequestHead
from gateway.upstream.headers import HeadComposer, response_headers


def head(*fields: tuple[bytes, bytes], method: str = "GET", version: str = "1.1") -> RequestHead:
    return RequestHead(
        method=method, target=b"/", path=b"/", query=b"", headers=fields, http_version=version
    )


def composed(*fields: tuple[bytes, bytes], removed: tuple[bytes, ...] = (), **said: bool) -> bytes:
    """The upstream's fields behind the host line."""
    composer = HeadComposer(removed=removed)
    text = composer.compose(head(*fields), host=b"h", body=NO_BODY, added=b"x-own: 1\r\n", **said)
    start = b"GET / HTTP/1.1\r\nhost: h\r\n"
    assert text.startswith(start)
    return text[len(start) :]


OWN = b"x-own: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("field", "is_kept"),
    [
        ((b"accept", b"*/*"), True),
        ((b"x_custom", b"1"), True),
        ((b"cookie", b"a=b"), True),
        ((b"authorization", b"Bearer x"), True),
        ((b"host", b"evil"), False),
        ((b"keep-alive", b"5"), False),
        ((b"te", b"trailers"), False),
        ((b"upgrade", b"h2c"), False),
        ((b"proxy-authorization", b"x"), False),
        ((b"proxy", b"http://evil"), False),
        ((b"script_name", b"/x"), False),
        ((b"path-info", b"/x"), False),
        ((b"remote_user", b"root"), False),
        ((b"x-forwarded-for", b"1.2.3.4"), False),
        ((b"x_forwarded_for", b"1.2.3.4"), False),
        ((b"forwarded", b"for=1.2.3.4"), False),
        ((b"x-request-id", b"1"), False),
        ((b"x-real-ip", b"1.2.3.4"), False),
        ((b"x-original-url", b"/admin"), False),
        ((b"x_rewrite_url", b"/admin"), False),
        ((b"x-script-name", b"/x"), False),
    ],
)
def test_of_an_untrusted_client_what_is_honest_is_kept(
    field: tuple[bytes, bytes], is_kept: bool
) -> None:
    line = b"%b: %b\r\n" % field
    assert composed(field) == (line + OWN if is_kept else OWN)


def test_a_trusted_proxy_may_say_more_but_not_what_we_say() -> None:
    said = ((b"x-real-ip", b"1.2.3.4"), (b"x-forwarded-for", b"9.9.9.9"), (b"proxy", b"x"))
    assert composed(*said, is_peer_trusted=True) == b"x-real-ip: 1.2.3.4\r\n" + OWN


@pytest.mark.parametrize(
    "name", [b"x-user-id", b"x_user_id", b"x-user_id", b"x_user-id"]
)  # names come in lower case
def test_our_own_fields_are_removed_in_every_spelling_that_wsgi_folds(name: bytes) -> None:
    forged = (name, b"1")
    assert composed(forged, forged, removed=(b"X-User-Id",)) == OWN
    assert composed(forged, (b"connection", name), removed=(b"X-User-Id",)) == OWN


@pytest.mark.parametrize(
    ("connection", "rest"),
    [
        (b"close", b"x-hop: 1\r\naccept: a\r\n"),
        (b"keep-alive", b"x-hop: 1\r\naccept: a\r\n"),
        (b"X-Hop", b"accept: a\r\n"),
        (b"x_hop, close", b"accept: a\r\n"),
        (b"close, x-own, host, content-length", b"x-hop: 1\r\naccept: a\r\n"),
    ],
)
def test_connection_takes_what_it_names_but_nothing_of_ours(connection: bytes, rest: bytes) -> None:
    fields = ((b"x-hop", b"1"), (b"connection", connection), (b"accept", b"a"))
    assert composed(*fields) == rest + OWN


def test_connection_cannot_name_the_length_away() -> None:
    composer = HeadComposer()
    request = head((b"content-length", b"5"), (b"connection", b"content-length"), method="POST")
    text = composer.compose(request, host=b"h", body=Body(5), added=b"")
    assert text == b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n"


def test_a_name_that_is_no_token_is_refused() -> None:
    with pytest.raises(RequestRefused) as refused:
        composed((b"x y", b"1"))
    assert refused.value.status == 400


def test_the_memory_of_names_is_bounded() -> None:
    composer = HeadComposer()
    for number in range(5000):
        name = b"x-%d" % number
        text = composer.compose(head((name, b"1")), host=b"h", body=NO_BODY, added=b"")
        assert name in text
    assert len(composer._kinds) <= 2048


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        ([(b"X", b"1"), (b"x", b"2")], [(b"X", b"1"), (b"x", b"2")]),
        ([(b"KEEP-ALIVE", b"1"), (b"Te", b"x"), (b"A", b"b")], [(b"A", b"b")]),
        ([(b"Connection", b"X-A"), (b"x-a", b"1"), (b"B", b"2")], [(b"B", b"2")]),
        ([(b"Connection", b"Set-Cookie"), (b"Set-Cookie", b"a")], [(b"Set-Cookie", b"a")]),
    ],
)
def test_what_the_client_gets(
    fields: list[tuple[bytes, bytes]], passed: list[tuple[bytes, bytes]]
) -> None:
    assert response_headers(fields) == passed
