"""What the tests of token endpoints share: a gateway that answers them, before an app of theirs."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.driving import Asked, Driven, driven, said

Driving = Callable[..., AbstractAsyncContextManager[Driven]]


@pytest.fixture
def driving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driving:
    """`async with driving(answer, …) as gateway`: see `driven`."""

    def opened(
        answer: Callable[[Asked], bytes | None] = lambda asked: said({"path": asked.target}),
        **settings: Any,
    ) -> AbstractAsyncContextManager[Driven]:
        return driven(tmp_path, monkeypatch, answer, **settings)

    return opened


@pytest.fixture
async def gateway(driving: Driving) -> AsyncIterator[Driven]:
    """A gateway for simplejwt, before an app that answers any path."""
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(driving())
