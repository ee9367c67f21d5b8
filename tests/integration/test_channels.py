"""Django Channels behind the gateway, under Daphne and under uvicorn: what sockets say, passes."""

import asyncio
import json
import os
import time
from collections.abc import Iterator

import pytest
from websockets import ConnectionClosedError, Headers, InvalidStatus
from websockets.asyncio.client import connect

from examples.processes import Processes
from tests.factories import SECRET, sign
from tests.integration.exchange import ask
from tests.integration.live.servers import Live, start_live


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    with Processes() as children:
        directory = tmp_path_factory.mktemp(request.param)
        yield start_live(request.param, directory=directory, children=children)


async def test_text_and_binary_messages_pass_both_ways(live: Live) -> None:
    async with live.socket() as socket:
        for message in ("text", "žluťoučký kůň 🐎", bytes(range(256)), "x" * 100_000):
            await socket.send(message)
            assert await socket.recv() == message
        for number in range(500):
            await socket.send(str(number))
        assert [await socket.recv() for _ in range(500)] == [str(n) for n in range(500)]


@pytest.mark.parametrize("is_text", [True, False], ids=["text", "binary"])
async def test_a_message_of_16_mib_passes_both_ways(live: Live, is_text: bool) -> None:
    noise = os.urandom(8 << 20)
    message = noise.hex() if is_text else noise * 2
    async with live.socket(ping_interval=None) as socket:
        await socket.send(message)
        assert await asyncio.wait_for(socket.recv(), 60) == message


async def test_a_message_in_fragments_passes(live: Live) -> None:
    async with live.socket() as socket:
        await socket.send(["one ", "two ", "three"])
        assert await socket.recv() == "one two three"


async def test_pings_are_answered_by_the_app(live: Live) -> None:
    async with live.socket() as socket:
        for data in (b"", b"data", b"x" * 125):
            assert await asyncio.wait_for(await socket.ping(data), 10) >= 0


@pytest.mark.parametrize("code", [1000, 3000, 4001, 4999])
async def test_the_apps_close_code_reaches_the_client(live: Live, code: int) -> None:
    async with live.socket(f"/ws/app/{code}/") as socket:
        await socket.send(f"close with {code}")
        await socket.wait_closed()
        assert socket.close_code == code
    assert await asyncio.to_thread(live.left, f"/ws/app/{code}/") == code


@pytest.mark.parametrize("code", [1000, 3000, 4001])
async def test_the_clients_close_code_reaches_the_app(live: Live, code: int) -> None:
    async with live.socket(f"/ws/client/{code}/") as socket:
        await socket.close(code, "enough")
    assert await asyncio.to_thread(live.left, f"/ws/client/{code}/") == code


async def test_messages_are_compressed_where_the_app_can(live: Live) -> None:
    async with live.socket(compression="deflate") as socket:
        names = [each.name for each in socket.protocol.extensions]
        assert names == ([] if live.kind == "daphne" else ["permessage-deflate"])
        for message in ("again and again " * 10_000, b"\0" * 100_000, "x"):
            await socket.send(message)
            assert await socket.recv() == message


async def test_the_app_hears_of_a_token_in_the_header_alone(live: Live) -> None:
    token = live.log_in()["access"]
    for path, protocols in (
        (f"/ws/?room=1&token={token}&x=%20", ["chat"]),
        ("/ws/?room=1&x=%20", ["access_token", token, "chat"]),
    ):
        async with connect(live.address + path, subprotocols=protocols) as socket:  # type: ignore[arg-type]
            assert socket.subprotocol == "chat"
            await socket.send("who am I?")
            told = json.loads(await socket.recv())
        assert told["query"] == "room=1&x=%20"
        assert told["subprotocols"] == ["chat"]
        headers = dict(told["headers"])
        assert headers["authorization"] == f"Bearer {token}"
        del headers["authorization"]
        assert token not in json.dumps([headers, told["query"], told["subprotocols"]])


async def test_the_subprotocol_of_the_token_is_the_answer_where_the_app_names_none(
    live: Live,
) -> None:
    token = live.log_in()["access"]
    offered = ["access_token", token]
    async with connect(live.address + "/ws/", subprotocols=offered) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "access_token"


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def refused(live: Live, path: str, fields: dict[str, str] | None = None) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(live.address + path, additional_headers=Headers(fields or {})):
            pass
    return caught.value


async def test_without_a_good_token_the_answer_is_a_plain_401(live: Live) -> None:
    now = int(time.time())
    claims = {"token_type": "access", "iat": now - 900, "jti": "a", "user_id": "1"}
    expired = sign({**claims, "exp": now - 10})
    forged = sign({**claims, "exp": now + 300}, "another-secret-key-0123456789abcdefghijkl")
    for path, fields in (
        ("/ws/", {}),
        ("/ws/", headers(expired)),
        ("/ws/", headers(forged)),
        (f"/ws/?token={expired}", {}),
        ("/ws/?token=", {}),
    ):
        response = (await refused(live, path, fields)).response
        assert response.status_code == 401
        assert response.headers["Content-Type"] == "application/json"
        assert json.loads(response.body or b"")["detail"]


async def test_of_two_tokens_none_is_picked(live: Live) -> None:
    token = live.log_in()["access"]
    both = await refused(live, f"/ws/?token={token}", headers(token))
    assert both.response.status_code == 400


async def test_the_apps_own_refusal_is_plain_http(live: Live) -> None:
    response = (await refused(live, "/ws/closed/", headers(live.log_in()["access"]))).response
    assert response.status_code == 403


async def test_another_path_opens_no_socket(live: Live) -> None:
    response = (await refused(live, "/other/", headers(live.log_in()["access"]))).response
    assert response.status_code == 200


async def test_a_logout_closes_the_socket_within_a_second(live: Live) -> None:
    pair = live.log_in()
    async with live.socket("/ws/ours/", token=pair["access"]) as socket, live.socket() as other:
        began = time.monotonic()
        await asyncio.to_thread(live.log_out, pair)
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), 5)
        assert time.monotonic() - began < 1
        assert socket.close_code == 1008
        assert await asyncio.to_thread(live.left, "/ws/ours/") == 1008
        await other.send("still here")
        assert await other.recv() == "still here"
    response = (await refused(live, "/ws/", headers(pair["access"]))).response
    assert response.status_code == 401


async def test_events_arrive_one_by_one_and_end_with_the_session(live: Live) -> None:
    pair = live.log_in()
    host, port = live.gateway.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    token = pair["access"]
    writer.write(
        f"GET /events/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    for number in range(1, 5):  # the next one is not even made before this one is here
        await asyncio.wait_for(reader.readuntil(b"data: %d\n\n" % number), 10)
        await asyncio.to_thread(ask, live.app_address, "GET", "/next/")
    began = time.monotonic()
    await asyncio.to_thread(live.log_out, pair)
    rest = await asyncio.wait_for(reader.read(), 5)
    assert time.monotonic() - began < 1
    assert not rest.endswith(b"0\r\n\r\n"), "never a clean end"
    writer.close()


async def test_the_log_has_a_line_at_the_end_of_a_socket_and_no_token(live: Live) -> None:
    token = live.log_in()["access"]
    path = f"/ws/log-{live.kind}/"
    async with live.socket(f"{path}?token={token}", additional_headers={}) as socket:
        await socket.send("x")
        await socket.recv()

    def line() -> dict[str, object] | None:
        lines = live.gateway.process.output().splitlines()
        return next((json.loads(one) for one in lines if path in one), None)

    told = await asyncio.to_thread(live.gateway.process.wait_for, line)
    assert (told["status"], told["reason"], told["user"]) == (101, "", "1")
    assert told["path"] == path
    log = live.gateway.process.output()
    assert token not in log
    assert SECRET not in log


async def test_a_socket_outlives_a_reload_and_still_ends_with_its_session(live: Live) -> None:
    pair = live.log_in()
    async with live.socket("/ws/ours/", token=pair["access"]) as socket:
        code, said = await asyncio.to_thread(live.gateway.reload)
        assert (code, said.splitlines()[0]) == (0, "reloaded")
        await socket.send("still here")
        assert await socket.recv() == "still here"
        assert live.open_sockets() == 1
        await asyncio.to_thread(live.log_out, pair)
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), 5)
        assert socket.close_code == 1008
