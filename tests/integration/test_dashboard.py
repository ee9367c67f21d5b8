"""The dashboard in a real browser: what it shows, and what it does when the API is slow or down."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browser import Page, browsing
from tests.integration.exchange import ask
from tests.integration.servers import ROOT, RunningApp, RunningGateway
from tests.integration.test_admin_api import TOKEN, call, config, log_in, refresh, user_of

IMAGES = ROOT / "docs" / "images"
HOSTILE = "<img src=x onerror=alert(1)>'\"&amp;"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browsing(tmp_path) as page:
        yield page


@pytest.fixture
def gateway(
    students: RunningApp, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> RunningGateway:
    return run_gateway(behind(students))


def behind(students: RunningApp, *, name: str = "reports") -> dict[str, Any]:
    """A configuration of which there is something to see, down to a server that is not there."""
    base = config(students)
    base["issuers"]["students"]["refresh_grace"] = "0s"
    base["upstreams"]["reports"] = {
        "servers": ["http://127.0.0.1:1", students.address],
        "health_check": {"path": "/", "interval": "1s", "healthy": 1, "unhealthy": 1},
    }
    base["routes"] += [
        {"path": "/reports/", "auth": "none", "upstream": "reports", "name": name},
        {"path": "/", "auth": "optional", "issuers": ["students"], "upstream": "students"},
    ]
    return base


async def opened(page: Page, gateway: RunningGateway, token: str = TOKEN) -> None:
    """Signs in as somebody with a keyboard would."""
    await page.visit(f"{gateway.admin}/dashboard")
    await page.until("document.activeElement.id === 'token'")
    await page.type(token)
    await page.enter()


async def shown(page: Page, gateway: RunningGateway) -> None:
    await opened(page, gateway)
    await page.until("document.querySelector('#freshness').textContent === 'Live.'")
    await page.until("document.querySelector('#config').textContent !== ''")


def used(gateway: RunningGateway) -> tuple[Any, Any]:
    """Something to see: two sessions, one of them refreshed, and denials."""
    first, second = log_in(gateway), log_in(gateway)
    for _ in range(8):
        call(gateway, first)
        call(gateway, {"access": "a.b.c"})
    ask(gateway.address, "GET", "/nowhere/")
    ask(gateway.address, "GET", "/reports/")
    renewed = refresh(gateway, second).json()
    return first, renewed


async def test_it_shows_what_the_gateway_does(page: Page, gateway: RunningGateway) -> None:
    await asyncio.to_thread(used, gateway)
    await shown(page, gateway)
    assert "yes" in await page.text("#state")
    await page.until("document.querySelector('#requests-rows').innerText.includes('2xx 8')")
    assert "token_invalid 8" in await page.text("#requests-rows")
    assert "rotated" in await page.text("#refreshes-rows")
    await page.until(
        "document.querySelector('#upstreams-rows').innerText.includes('fails its health check')"
    )
    assert "/studentapi/" in await page.text("#routes-rows")
    assert "refresh" in await page.text("#endpoints-rows")
    await page.until("!document.querySelector('#requests-rows').innerText.includes('…')")
    assert page.complaints == []


async def test_what_is_named_is_text_and_never_markup(
    page: Page, students: RunningApp, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> None:
    gateway = run_gateway(behind(students, name=HOSTILE))
    await asyncio.to_thread(used, gateway)
    await shown(page, gateway)
    assert HOSTILE in await page.text("#routes-rows")
    await page.until(
        f"document.querySelector('#requests-rows').innerText.includes({json.dumps(HOSTILE)})"
    )
    assert await page.evaluate("document.querySelectorAll('img').length") == 0


async def test_nothing_but_its_own_files_is_loaded_and_run(
    page: Page, gateway: RunningGateway
) -> None:
    answer = ask(gateway.admin, "GET", "/dashboard")
    policy = answer.header("content-security-policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    await shown(page, gateway)
    assert page.complaints == []
    assert {url.partition(":")[0] for url in page.asked} <= {"http", "data", "about"}
    assert not [url for url in page.asked if url.startswith("http") and gateway.admin not in url]
    await page.evaluate("fetch('http://127.0.0.1:1/x').catch(error => 0)")
    # Where the policy did nothing, this would not be the browser's word.
    async with asyncio.timeout(10):
        while not any("Content Security Policy" in word for word in page.complaints):
            await asyncio.sleep(0.05)


async def test_the_token_stays_out_of_urls_and_is_kept_for_the_tab(
    page: Page, gateway: RunningGateway
) -> None:
    await shown(page, gateway)
    await page.visit(f"{gateway.admin}/dashboard")
    await page.until("document.querySelector('#freshness').textContent === 'Live.'")
    assert not [url for url in page.asked if TOKEN in url]
    assert TOKEN not in await page.evaluate("document.documentElement.outerHTML")
    assert await page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    await page.evaluate("document.querySelector('#forget').click()")
    assert await page.evaluate("sessionStorage.length") == 0
    assert await page.evaluate("document.querySelector('#content').hidden")


async def test_another_token_is_refused_and_asked_for_again(
    page: Page, gateway: RunningGateway
) -> None:
    await opened(page, gateway, "some-other-token")
    await page.until("document.querySelector('#sign-in-error').textContent !== ''")
    assert await page.text("#sign-in-error") == "this is not the token"
    assert await page.evaluate("sessionStorage.length") == 0
    await page.type(TOKEN)  # the field has the focus
    await page.enter()
    await page.until("document.querySelector('#freshness').textContent === 'Live.'")


async def find_sessions(page: Page, user: str) -> None:
    await page.evaluate("document.querySelector('#user').focus()")
    await page.type(user)
    await page.enter()
    await page.until("document.querySelector('#sessions-told').textContent.includes('session')")


async def test_sessions_are_ended_with_the_keyboard_alone(
    page: Page, gateway: RunningGateway
) -> None:
    first, renewed = await asyncio.to_thread(used, gateway)
    user = user_of(gateway, first)
    await shown(page, gateway)
    await find_sessions(page, user)
    assert await page.text("#sessions-told") == f"2 sessions of {user}."

    await page.tab()  # Show
    await page.tab()  # the table's own region, which scrolls
    await page.tab()
    assert await page.evaluate("document.activeElement.textContent") == "End"
    await page.enter()
    await page.until("document.querySelector('#confirm').open")
    assert await page.evaluate("document.activeElement.id") == "no"
    await page.enter()
    await page.until("!document.querySelector('#confirm').open")
    assert call(gateway, first) == call(gateway, renewed) == 200  # nothing was ended

    await page.until("!document.querySelector('#sessions-rows button').disabled")
    await page.evaluate("document.querySelector('#sessions-rows button').focus()")
    await page.enter()
    await page.until("document.querySelector('#confirm').open")
    await page.tab()
    await page.enter()
    await page.until(
        "document.querySelector('#sessions-told').textContent.startsWith('The session was ended')"
    )
    assert sorted([call(gateway, first), call(gateway, renewed)]) == [200, 401]

    await page.evaluate("document.querySelector('#end-all').click()")
    await page.until("document.querySelector('#confirm').open")
    await page.evaluate("document.querySelector('#yes').click()")
    await page.until(
        f"document.querySelector('#sessions-told').textContent.includes('0 sessions of {user}')"
    )
    assert [call(gateway, first), call(gateway, renewed)] == [401, 401]


async def test_a_slow_api_is_told_and_then_one_that_is_down(
    page: Page, gateway: RunningGateway
) -> None:
    await asyncio.to_thread(used, gateway)
    await shown(page, gateway)
    await page.until("document.querySelector('#requests-rows').innerText.includes('2xx 8')")
    told = "document.querySelector('#freshness').textContent"
    os.kill(gateway.process.pid, signal.SIGSTOP)
    try:
        await page.until(f"{told}.startsWith('The API is slow: waiting for ')")
        await page.until(f"{told}.includes('no answer in time. What you see is ')")
        assert "2xx 8" in await page.text("#requests-rows")  # what was there stays
        assert await page.evaluate("document.querySelector('#freshness').classList.value")
    finally:
        os.kill(gateway.process.pid, signal.SIGCONT)
    await page.until(f"{told} === 'Live.'")
    await asyncio.to_thread(gateway.process.stop)
    await page.until(f"/can’t be reached. What you see is \\d+ s old/.test({told})")
    assert "2xx 8" in await page.text("#requests-rows")


async def test_a_reload_is_tried_and_done(
    page: Page, gateway: RunningGateway, students: RunningApp
) -> None:
    await shown(page, gateway)
    gateway.rewrite({**config(students), "server": {"keep_alive": "5s"}})
    await page.evaluate("document.querySelector('#try-reload').click()")
    await page.until("document.querySelector('#reload-told').textContent.includes('would reload')")
    assert "server.keep_alive: 75 -> 5" in await page.text("#reload-told")
    gateway.file.write_text("surprise: {}\n")
    await page.evaluate("document.querySelector('#reload').click()")
    await page.until("document.querySelector('#confirm').open")
    await page.evaluate("document.querySelector('#yes').click()")
    await page.until("document.querySelector('#reload-told').textContent.includes('surprise')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_drawn_light_and_dark(
    page: Page, gateway: RunningGateway, scheme: str, tmp_path: Path
) -> None:
    """Writes its pictures to docs/images where KEEP_PICTURES asks for it."""
    first, _ = await asyncio.to_thread(used, gateway)
    await page.prefer(scheme)
    await shown(page, gateway)
    await find_sessions(page, user_of(gateway, first))
    await page.until("!document.querySelector('#requests-rows').innerText.includes('…')")
    back = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[4:-1].split(","))) < 200) == (scheme == "dark")
    assert await page.evaluate(CONTRASTS) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.evaluate("document.activeElement.blur()")
    directory = IMAGES if os.environ.get("KEEP_PICTURES") else tmp_path
    (directory / f"dashboard-{scheme}.png").write_bytes(await page.screenshot())


# WCAG 2.2 §1.4.3: text that stands out from what is behind it by less than 4.5 to 1.
CONTRASTS = """(() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => {
    const [r, g, b] = parts(color).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (parts(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')].filter(node => node.checkVisibility()
      && !node.disabled
      && [...node.childNodes].some(each => each.nodeType === 3 && each.data.trim()))
    .map(node => {
      const [one, two] = [light(getComputedStyle(node).color), light(behind(node))];
      const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
      return [ratio, node.outerHTML.slice(0, 80)];
    }).filter(([ratio]) => ratio < 4.5);
})()"""
