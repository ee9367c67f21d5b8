"""Where all that tests need has to be there (`GATEWAY_REQUIRE_ALL`), a skip is a failure.

Tests that replace a part of a class are of the pure modules alone: in compiled ones it stays.
"""

import importlib
import os
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _is_all_required():
        report.outcome = "failed"
        report.longrepr = f"GATEWAY_REQUIRE_ALL is set, and this was skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and _is_all_required():
        report.outcome = "failed"
        report.longrepr = f"GATEWAY_REQUIRE_ALL is set, and this was skipped: {report.longrepr}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if importlib.import_module("gateway.proxy").__file__.endswith(".py"):  # type: ignore[union-attr]
        return
    replacing = [item for item in items if item.get_closest_marker("replaces_code")]
    config.hook.pytest_deselected(items=replacing)
    items[:] = [item for item in items if item not in replacing]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of several processes one has all tests of a file, or of a folder whose images take minutes."""
    from xdist.scheduler import LoadFileScheduling

    class ByWhatIsShared(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/deploy" if file.startswith("tests/deploy/") else file

    return ByWhatIsShared(config, log)


def _is_all_required() -> bool:
    return bool(os.environ.get("GATEWAY_REQUIRE_ALL"))
