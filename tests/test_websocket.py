"""What is a WebSocket's handshake, where its token may stand, and what of it goes upstream."""

import pytest

from gateway.errors import RequestRefused
from gateway.request import RequestHead
from gateway.websocket import Handshake, WebSocketRule
from tests.factories import (
    FrozenClock,
    authenticator,
    issuer,
    legacy_claims,
    request,
    sign,
    simplejwt_claims,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = (
    ("Host", "a"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
)
PROTOCOL = "Sec-WebSocket-Protocol"


def field_for(token: bytes) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + token


RULE = WebSocketRule(
    subprotocol="jwt", query="token", credentials=(b"authorization",), field_for=field_for
)


def read(*more: tuple[str, str], target: str = "/ws", rule: WebSocketRule = RULE) -> Handshake:
    found = rule.read(request(*FIELDS, *more, target=target))
    assert found is not None
    return found


def fields(head: RequestHead, name: bytes) -> list[bytes]:
    return [value for key, value in head.headers if key == name]


def test_a_token_in_the_header_is_left_alone() -> None:
    asked = request(*FIELDS, ("Authorization", "Bearer a.b.c"))
    found = RULE.read(asked)
    assert found is not None
    assert found.request is asked
    assert found.subprotocol is None


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        (["jwt, a.b.c"], []),
        (["jwt,a.b.c"], []),
        (["chat, jwt, a.b.c, superchat"], [b"chat, superchat"]),
        (["chat", "jwt, a.b.c"], [b"chat"]),
        (["chat, jwt", "a.b.c"], [b"chat"]),
        (["jwt , a.b.c\t,, v2"], [b"v2"]),
    ],
)
def test_a_subprotocols_token_moves_to_the_header(offered: list[str], kept: list[bytes]) -> None:
    found = read(*[(PROTOCOL, value) for value in offered])
    assert fields(found.request, b"authorization") == [b"Bearer a.b.c"]
    assert fields(found.request, b"sec-websocket-protocol") == kept
    assert found.subprotocol == b"jwt"


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("/ws?token=a.b.c", "/ws"),
        ("/ws?token=a.b.c&", "/ws?"),
        ("/ws?room=1&token=a.b.c", "/ws?room=1"),
        ("/ws?token=a.b.c&room=1%2F&&x", "/ws?room=1%2F&&x"),
        ("/ws?a=?&token=a.b.c&b", "/ws?a=?&b"),
        ("/ws?tok%65n=a.b.c", "/ws"),
        ("/w%73?Token=x&token=a.b.c", "/w%73?Token=x"),
    ],
)
def test_a_query_parameters_token_moves_to_the_header(target: str, left: str) -> None:
    found = read(target=target)
    assert fields(found.request, b"authorization") == [b"Bearer a.b.c"]
    assert found.request.target == left.encode()
    assert found.request.query == left.partition("?")[2].encode()
    assert found.subprotocol is None


@pytest.mark.parametrize("target", ["/ws", "/ws?", "/ws?room=1&&", "/ws?xtoken=1"])
def test_without_a_token_nothing_is_changed(target: str) -> None:
    asked = request(*FIELDS, (PROTOCOL, "chat,  v2"), target=target)
    found = RULE.read(asked)
    assert found is not None
    assert found.request is asked


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ([("Authorization", "Bearer a.b.c")], "/ws?token=a.b.c"),
        ([("Authorization", "Basic YQ==")], "/ws?token=a.b.c"),
        ([("Authorization", "Bearer a.b.c"), (PROTOCOL, "jwt, a.b.c")], "/ws"),
        ([(PROTOCOL, "jwt, a.b.c")], "/ws?token=a.b.c"),
        ([(PROTOCOL, "jwt, a.b.c, jwt, a.b.c")], "/ws"),
        ([(PROTOCOL, "jwt, a.b.c"), (PROTOCOL, "jwt, a.b.c")], "/ws"),
        ([], "/ws?token=a.b.c&token=a.b.c"),
        ([], "/ws?token=a.b.c&tok%65n="),
    ],
)
def test_of_two_tokens_none_is_picked(more: list[tuple[str, str]], target: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        read(*more, target=target)
    assert (caught.value.status, caught.value.reason) == (400, "header_invalid")
    assert "a.b.c" not in str(caught.value)


@pytest.mark.parametrize(("more", "target"), [([(PROTOCOL, "jwt")], "/ws"), ([], "/ws?token")])
def test_a_place_without_its_token_holds_a_bad_one(
    more: list[tuple[str, str]], target: str
) -> None:
    assert fields(read(*more, target=target).request, b"authorization") == [b"Bearer "]


def test_a_route_that_names_no_place_looks_nowhere_else() -> None:
    rule = WebSocketRule(credentials=(b"authorization",), field_for=field_for)
    found = read((PROTOCOL, "jwt, a.b.c"), target="/ws?token=a.b.c", rule=rule)
    assert fields(found.request, b"authorization") == []
    assert found.request.target == b"/ws?token=a.b.c"


@pytest.mark.parametrize(
    "changed",
    [
        {"Upgrade": "websocket, h2c"},
        {"Upgrade": "websocket/13"},
        {"Connection": "keep-alive"},
        {"Sec-WebSocket-Key": "c2hvcnQ="},
        {"Sec-WebSocket-Key": ""},
    ],
)
def test_what_is_not_all_of_a_handshake_is_none(changed: dict[str, str]) -> None:
    assert RULE.read(request(*{**dict(FIELDS), **changed}.items())) is None


def test_a_handshake_is_asked_for_by_get_in_http_1_1() -> None:
    assert RULE.read(request(*FIELDS, method="POST")) is None
    old = request(*FIELDS)
    old.http_version = "1.0"
    assert RULE.read(old) is None


def test_letter_case_and_several_tokens_of_connection_do_not_matter() -> None:
    fields = {**dict(FIELDS), "Upgrade": "WebSocket", "Connection": "Keep-Alive, UPGRADE"}
    assert RULE.read(request(*fields.items())) is not None


@pytest.mark.parametrize(
    ("changed", "is_met"),
    [
        ({}, True),
        ({b"upgrade": b"WebSocket"}, True),
        ({b"connection": b"keep-alive, upgrade"}, True),
        ({b"sec-websocket-accept": b"c3RhbGU="}, False),
        ({b"upgrade": b"h2c"}, False),
        ({b"connection": b"close"}, False),
    ],
)
def test_an_answer_must_be_to_this_very_handshake(
    changed: dict[bytes, bytes], is_met: bool
) -> None:
    answer = {
        b"upgrade": b"websocket",
        b"connection": b"Upgrade",
        b"sec-websocket-accept": b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",  # RFC 6455 §1.3
        **changed,
    }
    assert read().is_met_by(list(answer.items())) is is_met


def test_among_several_issuers_the_token_says_whose_it_is() -> None:
    first = issuer("first")
    second = issuer(
        "second", profile="djangorestframework-jwt", auth_header_types=["JWT"],
        auth_header_name="X-Token", signing_key="another-secret-key-of-the-second-issuer-01",
    )  # fmt: skip
    judge, _ = authenticator(first, second, clock=FrozenClock())
    own = sign(simplejwt_claims()).encode()
    other = sign(legacy_claims(), "another-secret-key-of-the-second-issuer-01").encode()
    assert judge.field_for(own) == (b"Authorization", b"Bearer " + own)
    assert judge.field_for(other) == (b"X-Token", b"JWT " + other)
    assert judge.field_for(b"nobodys") == (b"Authorization", b"Bearer nobodys")
