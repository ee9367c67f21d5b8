"""The dashboard in a real browser, where what it is told is broken, hostile or very much."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.processes import Processes
from gateway.endpoints.admin.attempts import BURST
from gateway.stores.base import SessionKey
from tests.factories import sign, simplejwt_claims
from tests.integration.browser import Page
from tests.integration.exchange import JSON, ask
from tests.integration.fronts import start_nginx
from tests.integration.servers import RunningApp, RunningGateway
from tests.integration.test_admin_api import TOKEN, config
from tests.integration.test_dashboard import HOSTILE, find_sessions, opened, page, shown
from tests.ports import free_ports
from tests.redis_servers import redis_server
from tests.stores.conftest import running
from tests.stores.recording import POLICY, RecordingSink, token

__all__ = ["page"]  # a fixture

Run = Callable[[dict[str, Any]], RunningGateway]
TOLD = "document.querySelector('#freshness').textContent"
HTTP = """
server {
    listen 127.0.0.1:PORT;
    proxy_set_header Host 127.0.0.1;
    location / { proxy_pass http://gateway; }
    location /api/ { default_type DEFAULT; return ANSWER; }
}
"""


@pytest.mark.parametrize(
    ("kind", "answer", "told"),
    [
        ("text/html", "200 '<html>Sign in to the network</html>'", "what it says can’t be read"),
        ("application/json", "200 '{\"is_ready\": tru'", "what it says can’t be read"),
        ("application/json", "200 '[]'", "what it says can’t be read"),
        ("application/json", "200 'null'", "what it says can’t be read"),
        ("text/html", "502 '<html>Bad Gateway</html>'", "it answers with status 502"),
        ("application/json", "503 'null'", "it answers with status 503"),
        ("text/html", "444", "it can’t be reached"),
    ],
    ids=["a page", "half an answer", "another answer", "nothing", "502", "503", "a broken answer"],
)
async def test_an_answer_that_is_none_of_the_api_is_told_to_be_so(
    page: Page, students: RunningApp, run_gateway: Run, children: Processes,
    tmp_path: Path, kind: str, answer: str, told: str,
) -> None:  # fmt: skip
    gateway = run_gateway(config(students))
    (port,) = free_ports(1)
    http = HTTP.replace("PORT", str(port)).replace("DEFAULT", kind).replace("ANSWER", answer)
    await asyncio.to_thread(
        start_nginx, http, gateway=gateway.admin, port=port, directory=tmp_path, children=children
    )
    await page.visit(f"http://127.0.0.1:{port}/dashboard")
    await page.until("document.activeElement.id === 'token'")
    await page.type(TOKEN)
    await page.enter()
    await page.until(f"{TOLD} === {json.dumps(f'The API fails: {told}. There is no data yet.')}")
    assert await page.text("#requests-rows") == ""


async def test_a_user_and_a_session_may_be_called_as_anybody_likes(
    page: Page, students: RunningApp, run_gateway: Run
) -> None:
    """A token from before the gateway may have any user and id, which become the session's."""
    gateway = run_gateway(config(students))
    now = int(time.time())
    claims = simplejwt_claims(token_type="refresh", iat=now - 5, exp=now + 3600)
    hostile = {**claims, "user_id": HOSTILE, "jti": f"{HOSTILE}/../?user=1#é"}
    secret = students.secret_file.read_text().strip()
    body = json.dumps({"refresh": sign(hostile, secret)}).encode()
    answer = ask(gateway.address, "POST", "/refreshtoken/", headers=[JSON], body=body)
    assert answer.status == 200, answer.body

    await shown(page, gateway)
    await find_sessions(page, HOSTILE)
    assert await page.text("#sessions-told") == f"1 session of {HOSTILE}."
    assert HOSTILE in await page.text("#sessions-rows")
    await page.evaluate("document.querySelector('#sessions-rows button').click()")
    await page.until("document.querySelector('#confirm').open")
    assert HOSTILE in await page.text("#question")
    assert await page.evaluate("document.querySelectorAll('img').length") == 0
    await page.evaluate("document.querySelector('#yes').click()")
    await page.until(
        "document.querySelector('#sessions-told').textContent.startsWith('The session was ended')"
    )
    assert page.complaints == []


async def test_ten_thousand_sessions_of_a_user_are_no_trouble(
    page: Page, students: RunningApp, run_gateway: Run, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as server:
        async with running(server.url, RecordingSink(), timeout=5) as store:
            for some in range(0, 10_000, 500):
                keys = [SessionKey("students", "7", f"{some + n:032x}") for n in range(500)]
                await asyncio.gather(
                    *(
                        store.open_session(key, POLICY, presented=token(), access_life=60_000)
                        for key in keys
                    )
                )
        gateway = run_gateway(config(students, server.url))
        await shown(page, gateway)
        await find_sessions(page, "7")
        assert await page.text("#sessions-told") == (
            "1000 sessions of 7. There may be more than is shown here; to end all ends these too."
        )
        assert await page.evaluate("document.querySelectorAll('#sessions-rows tr').length") == 1000
        await page.until(f"{TOLD} === 'Live.'")
        await page.evaluate("document.querySelector('#end-all').click()")
        await page.until("document.querySelector('#confirm').open")
        await page.evaluate("document.querySelector('#yes').click()")
        await page.until(
            "document.querySelector('#sessions-told').textContent.includes('0 sessions of 7')"
        )


async def test_who_mistypes_the_token_has_all_tries_and_is_told_to_wait_then(
    page: Page, students: RunningApp, run_gateway: Run
) -> None:
    gateway = run_gateway(config(students))
    await opened(page, gateway, "mistyped-0")
    refused = "document.querySelector('#sign-in-error').textContent === 'this is not the token'"
    for number in range(1, BURST):
        await page.until(refused)
        await page.type(f"mistyped-{number}")
        await page.enter()
    await page.until(refused)
    await page.type(TOKEN)
    await page.enter()
    await page.until(f"/too many wrong tokens came from 127.0.0.1: try again in/.test({TOLD})")
    await page.until(f"{TOLD} === 'Live.'")  # by itself, once it is looked at


async def test_who_signs_out_leaves_nothing_behind(
    page: Page, students: RunningApp, run_gateway: Run
) -> None:
    gateway = run_gateway(config(students))
    await shown(page, gateway)
    assert "/studentapi/" in await page.evaluate("document.body.textContent")
    await page.evaluate("document.querySelector('#forget').click()")
    assert "/studentapi/" not in await page.evaluate("document.body.textContent")
