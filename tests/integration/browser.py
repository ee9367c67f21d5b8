"""A headless Chromium that a test drives: over its DevTools protocol, one page."""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.fronts import chromium

PATIENCE = 30.0  # seconds


class Page:
    """One page; `complaints` are what its console and the browser's own log said of errors."""

    def __init__(self, channel: ClientConnection) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        self.asked: list[str] = []  # the URLs of all requests
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._channel:
            said = json.loads(message)
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            else:
                self._hear(said["method"], said["params"])

    def _hear(self, method: str, told: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"]["text"])

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._channel.send(json.dumps(message))
        said = await asyncio.wait_for(self._waiting[number], PATIENCE)
        assert "error" not in said, said
        found: dict[str, Any] = said["result"]
        return found

    async def evaluate(self, expression: str) -> Any:
        said = await self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Waits until this is true in the page; returns what it is."""
        found = None
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := await self.evaluate(expression)):
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"never: {expression}\n{text}") from error
        return found

    async def text(self, selector: str) -> str:
        return str(await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def visit(self, url: str) -> None:
        await self.do("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def press(self, key: str, *, code: int, text: str = "") -> None:
        """A key, as a keyboard sends it."""
        for kind in ("keyDown", "keyUp"):
            await self.do(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if kind == "keyDown" and text else {}),
            )

    async def tab(self) -> None:
        await self.press("Tab", code=9)

    async def enter(self) -> None:
        await self.press("Enter", code=13, text="\r")

    async def type(self, text: str) -> None:
        await self.do("Input.insertText", text=text)

    async def prefer(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.do("Emulation.setEmulatedMedia", features=[feature])

    async def screenshot(self) -> bytes:
        shot = await self.do("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@contextlib.asynccontextmanager
async def browsing(
    directory: Path, *, width: int = 1280, height: int = 1640
) -> AsyncIterator[Page]:
    """A browser with an empty page; skips the test where there is none."""
    profile = directory / "profile"
    process = await asyncio.create_subprocess_exec(
        *chromium("about:blank", profile=profile),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with connect(await _place(profile), max_size=None) as channel:
            page = Page(channel)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.do(f"{domain}.enable")
            await page.do(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            yield page
    finally:
        process.kill()
        await process.wait()


async def _place(profile: Path) -> str:
    """Where the page's DevTools listen."""
    told = profile / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(FileNotFoundError, IndexError, httpx.TransportError):
                port = told.read_text().splitlines()[0]
                for target in (await client.get(f"http://127.0.0.1:{port}/json/list")).json():
                    if target["type"] == "page":
                        return str(target["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
