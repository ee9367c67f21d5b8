"""CORS by both lanes: preflights are answered at the edge, and answers of upstreams are marked."""

from pathlib import Path

import pytest

from tests.edge.cross_origin import (
    ALLOWED,
    ORIGIN,
    OWN,
    PREFLIGHT_VARY,
    READABLE,
    ask,
    crossed,
    preflight,
    request,
    said_of_cors,
)
from tests.edge.sockets import HANDSHAKE, OPENED
from tests.servers import answering

# Preflights


@pytest.mark.parametrize("path", ["/api/me/", "/open/x", "/api/token/", "/api/refresh/", "/gone/"])
async def test_a_preflight_is_answered_at_the_edge(tmp_path: Path, path: str) -> None:
    async with crossed(tmp_path) as (gateway, upstream):
        asked = preflight(path, "PATCH", "authorization,content-type")
        status, fields = await ask(gateway, asked, asked)

        assert status == 204
        assert said_of_cors(fields) == ALLOWED | {
            "access-control-allow-methods": "GET, POST, PATCH",
            "access-control-allow-headers": "Authorization, Content-Type",
            "access-control-max-age": "300",
        }
        assert fields["vary"] == PREFLIGHT_VARY
        assert "x-request-id" in fields
        assert "content-length" not in fields
        assert upstream.connections == []


NOT_ALLOWED = {
    "another origin": preflight("/api/", "GET", origin="https://evil.example"),
    "another scheme": preflight("/api/", "GET", origin="http://app.example"),
    "another port": preflight("/api/", "GET", origin="https://app.example:444"),
    "upper case": preflight("/api/", "GET", origin="https://APP.example"),
    "a longer host": preflight("/api/", "GET", origin="https://app.example.evil.example"),
    "two origins": preflight("/api/", "GET", origin=f"{ORIGIN}\r\nOrigin: {ORIGIN}"),
    "another method": preflight("/api/", "DELETE"),
    "a method in lower case": preflight("/api/", "patch"),
    "another header": preflight("/api/", "GET", "authorization, x-evil"),
}


@pytest.mark.parametrize("asked", NOT_ALLOWED.values(), ids=NOT_ALLOWED)
async def test_what_is_not_allowed_gets_no_allowing_field(tmp_path: Path, asked: bytes) -> None:
    async with crossed(tmp_path) as (gateway, upstream):
        status, fields = await ask(gateway, asked)

        assert (status, said_of_cors(fields)) == (204, {})
        assert fields["vary"] == PREFLIGHT_VARY
        assert upstream.connections == []


@pytest.mark.parametrize("origin", ["https://app.example:8443", "null"])
async def test_each_listed_origin_is_told_its_own_name(tmp_path: Path, origin: str) -> None:
    async with crossed(tmp_path) as (gateway, _):
        _, allowed = await ask(gateway, preflight("/api/", "GET", origin=origin))
        _, refused = await ask(gateway, request("/api/", origin=origin))

        assert allowed["access-control-allow-origin"] == origin
        assert refused["access-control-allow-origin"] == origin


async def test_all_origins_are_told_a_star(tmp_path: Path) -> None:
    async with crossed(tmp_path) as (gateway, _):
        for origin in (ORIGIN, "null", ""):
            status, fields = await ask(gateway, request("/all/", origin=origin))
            assert (status, said_of_cors(fields)) == (
                200,
                {
                    "access-control-allow-origin": "*",
                    "access-control-expose-headers": "X-Request-Id, Retry-After, WWW-Authenticate",
                },
            )
            assert "vary" not in fields  # it is the same for everybody
        _, fields = await ask(gateway, preflight("/all/", "DELETE", "x-requested-with"))
        assert fields["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in fields


async def test_a_route_without_cors_leaves_preflights_to_its_upstream(tmp_path: Path) -> None:
    async with crossed(tmp_path) as (gateway, upstream):
        for path in ("/own/", "/verify/"):
            status, fields = await ask(gateway, preflight(path, "GET"))
            assert (status, said_of_cors(fields)) == (200, {})
        assert [head.split(b" ")[0] for head in upstream.heads] == [b"OPTIONS"] * 2


async def test_what_an_upstream_answers_to_a_preflight_is_its_own_word(tmp_path: Path) -> None:
    """OPTIONS takes a route with `cors`, and the DELETE that is asked about takes another one."""
    async with crossed(tmp_path, answering(OWN)) as (gateway, _):
        status, fields = await ask(gateway, preflight("/part/", "DELETE"))
        assert (status, fields["access-control-allow-origin"]) == (200, "https://own.example")
        assert fields["vary"] == "Accept"
        status, _ = await ask(gateway, preflight("/part/", "PATCH"))
        assert status == 204


async def test_options_of_a_page_itself_is_a_request_like_others(tmp_path: Path) -> None:
    async with crossed(tmp_path) as (gateway, upstream):
        status, fields = await ask(gateway, request("/open/", method="OPTIONS"))
        assert (status, said_of_cors(fields)) == (200, READABLE)
        status, _ = await ask(gateway, request("/api/", method="OPTIONS"))
        assert status == 401
        assert len(upstream.heads) == 1


# What upstreams answer


@pytest.mark.parametrize("answer", [OWN, OWN.replace(b"Vary: Accept", b"Vary: accept, ORIGIN")])
async def test_an_upstreams_own_fields_give_way(tmp_path: Path, answer: bytes) -> None:
    async with crossed(tmp_path, answering(answer)) as (gateway, _):
        asked = request("/open/")
        status, fields = await ask(gateway, asked, asked)  # on a kept connection too

        assert (status, said_of_cors(fields)) == (200, READABLE)
        assert fields["vary"].lower() == "accept, origin"


async def test_to_another_origin_they_are_not_passed_on_either(tmp_path: Path) -> None:
    async with crossed(tmp_path, answering(OWN)) as (gateway, _):
        for origin in ("https://own.example", ""):
            status, fields = await ask(gateway, request("/open/", origin=origin))
            assert (status, said_of_cors(fields)) == (200, {})
            assert fields["vary"] == "Accept, Origin"


async def test_a_stream_says_it_at_its_head(tmp_path: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with crossed(tmp_path, answering(chunked)) as (gateway, _):
        answer = await gateway.exchange(request("/open/", "Connection: close"))
        assert b"\r\naccess-control-allow-origin: https://app.example\r\n" in answer
        assert answer.endswith(b"2\r\nok\r\n0\r\n\r\n")


async def test_without_cors_an_upstreams_own_passes_as_it_is(tmp_path: Path) -> None:
    async with crossed(tmp_path, answering(OWN)) as (gateway, _):
        assert await gateway.exchange(request("/own/")[:-2] + b"Connection: close\r\n\r\n") == (
            OWN.replace(b"\r\n\r\nok", b"\r\nconnection: close\r\n\r\nok")
        )


async def test_a_web_socket_is_opened_for_every_origin(tmp_path: Path) -> None:
    """It is not subject to CORS; what its upstream thinks of the origin is its own business."""
    async with crossed(tmp_path, answering(OPENED)) as (gateway, _):
        client = await gateway.connect()
        await client.send(
            HANDSHAKE.replace(b"/ws", b"/open/").replace(
                b"Host: a", b"Host: a\r\nOrigin: https://evil.example"
            )
        )
        head = (await client.head()).lower()
        assert head.startswith(b"http/1.1 101 ")
        assert b"access-control" not in head
        assert b"vary" not in head
        await client.close()
