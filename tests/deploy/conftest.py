"""The images, built once for all tests that run them; how long that took stands in the summary.

Those tests want root and podman, and take minutes: `make test-containers` runs them, and so does
whoever requires all tests.
"""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.deploy.containers import Containers, lacking

Tell = Callable[[str], None]

_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TEST_CONTAINERS") or os.environ.get("GATEWAY_REQUIRE_ALL"):
        return
    running = [item for item in items if "containers" in getattr(item, "fixturenames", ())]
    if running:
        config.hook.pytest_deselected(items=running)
        items[:] = [item for item in items if item not in running]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if figures := config.stash[_FIGURES]:
        terminalreporter.section("images and containers")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Tell:
    """A line for the summary."""
    return pytestconfig.stash[_FIGURES].append


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory, tell: Tell) -> Iterator[Containers]:
    """A store that has the base, and the image that `make image` makes on it."""
    if why := lacking(tmp_path_factory.mktemp("overlay")):
        pytest.skip(why)
    store = Containers(tmp_path_factory.mktemp("containers"))
    started = time.monotonic()
    try:
        store.prepare()
        based = time.monotonic()
        store.make_image()
        tell(f"base {based - started:.0f} s, image {time.monotonic() - based:.0f} s")
        yield store
    finally:
        store.remove()
