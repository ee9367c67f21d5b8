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
    """Gives one process all tests of a file, or of the folder whose images take minutes to make."""
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    def shared_by(test: str) -> str:
        file = test.partition("::")[0]
        return "tests/deploy" if file.startswith("tests/deploy/") else file

    scheduling = LoadFileScheduling(config, log)
    scheduling._split_scope = shared_by
    return scheduling


def _is_all_required() -> bool:
    return bool(os.environ.get("GATEWAY_REQUIRE_ALL"))
