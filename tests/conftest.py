"""What all tests share: the event loop of production, how long properties are searched, figures.

What tests measured is shown when the run ends, by whichever process it was measured.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator

import pytest
import uvloop
from hypothesis import settings

from tests.turns import turn

# `--hypothesis-profile=long` searches for minutes, and elsewhere each time.
settings.register_profile("short", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=20_000)
settings.load_profile("short")

Figure = Callable[[str], None]

_FIGURES = pytest.StashKey[list[str]]()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Figure:
    """`figure(line)`: shown with the test that runs."""
    return pytestconfig.stash[_FIGURES].append


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Hands on what was measured; a report reaches the process that shows it."""
    if call.when == "call":
        figures = item.config.stash[_FIGURES]
        item.user_properties += [("figure", line) for line in figures]
        figures.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    measured = [report for report in reports if report.user_properties]
    if measured:
        terminalreporter.section("figures")
    for report in sorted(measured, key=lambda report: report.nodeid):
        terminalreporter.write_line(report.nodeid)
        for _, line in report.user_properties:
            terminalreporter.write_line(f"    {line}")
