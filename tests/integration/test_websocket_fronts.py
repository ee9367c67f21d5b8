"""WebSockets as a page of a real browser opens them, and with a real nginx in front."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from examples.processes import Processes
from tests.integration.exchange import ask
from tests.integration.fronts import chromium, start_nginx
from tests.integration.live.servers import Live, start_live
from tests.ports import free_ports

# A page can't set header fields: the token goes along as a subprotocol, or in the query.
PAGE = """<!doctype html><title>live</title><script>
const told = {};
const post = (path, body) => fetch(path, {
  method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
});
const at = path => location.origin.replace('http', 'ws') + path;
const talk = (path, protocols) => new Promise(resolve => {
  const socket = new WebSocket(at(path), protocols), heard = [];
  socket.onopen = () => socket.send('who am I?');
  socket.onmessage = ({data}) => resolve({
    socket, protocol: socket.protocol, extensions: socket.extensions, heard: JSON.parse(data),
  });
  socket.onclose = ({code}) => resolve({code});
});
async function run() {
  const pair = await (await post('/gettoken/', {})).json();
  const first = await talk('/ws/', ['access_token', pair.access]);
  told.protocol = first.protocol;
  told.extensions = first.extensions.split(';')[0];
  told.subprotocols = first.heard.subprotocols;
  told.chat = (await talk('/ws/', ['chat', 'access_token', pair.access])).protocol;
  const asked = await talk(`/ws/?room=7&token=${pair.access}`);
  told.query = asked.heard.query;
  told.without = (await talk('/ws/')).code;
  told.bad = (await talk('/ws/', ['access_token', 'no.to.ken'])).code;
  told.code = await new Promise(resolve => {
    first.socket.onclose = ({code, wasClean}) => resolve([code, wasClean]);
    post('/logout/', {refresh: pair.refresh});
  });
}
run().catch(error => { told.error = String(error); }).finally(() => post('/page/told/', told));
</script>"""

HTTP = """\
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
            proxy_read_timeout 1h;
            proxy_buffering off;
        }
    }
"""


@pytest.fixture(scope="module")
def live(children: Processes, tmp_path_factory: pytest.TempPathFactory) -> Live:
    directory = tmp_path_factory.mktemp("live")
    return start_live("uvicorn", directory=directory, children=children, page=PAGE)


def test_a_page_opens_sockets_with_its_token_in_a_subprotocol_or_the_query(
    live: Live, children: Processes, tmp_path: Path
) -> None:
    process = children.start(
        "chromium",
        chromium(f"{live.gateway.address}/page/", profile=tmp_path / "profile"),
        log=tmp_path / "chromium.log",
        cwd=tmp_path,
    )
    try:
        told: dict[str, Any] = ask(live.app_address, "GET", "/heard/").json()
    finally:
        process.wait_or_kill(grace=0)
    assert told == {
        "protocol": "access_token",
        "extensions": "permessage-deflate",
        "subprotocols": [],
        "chat": "chat",
        "query": "room=7",
        "without": 1006,
        "bad": 1006,
        "code": [1008, True],
    }


@pytest.fixture(scope="module")
def nginx(live: Live, children: Processes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an nginx before the gateway."""
    (port,) = free_ports(1)
    start_nginx(
        HTTP.replace("PORT", str(port)),
        gateway=live.gateway.address,
        port=port,
        directory=tmp_path_factory.mktemp("nginx"),
        children=children,
    )
    return f"ws://127.0.0.1:{port}"


async def test_behind_nginx_a_socket_opens_and_ends_with_its_session(
    live: Live, nginx: str
) -> None:
    pair = live.log_in()
    async with connect(f"{nginx}/ws/?token={pair['access']}", max_size=None) as opened:
        for message in ("text", b"x" * (2 << 20)):
            await opened.send(message)
            assert await opened.recv() == message
        await opened.send("who am I?")
        assert json.loads(await opened.recv())["query"] == ""
        live.log_out(pair)
        await opened.wait_closed()
        assert opened.close_code == 1008
