"""What all tests share: the event loop of production, and how long properties are searched."""

from asyncio import AbstractEventLoop
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import settings

# `--hypothesis-profile=long` searches for minutes, and elsewhere each time.
settings.register_profile("short", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=20_000)
settings.load_profile("short")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
