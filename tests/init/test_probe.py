"""The probe runs where the gateway is not installed: in older Pythons, by their library alone."""

import ast
import sys
from pathlib import Path

import pytest

import gateway.init

PROBES = sorted(Path(gateway.init.__file__).parent.glob("probe*.py"))
_OF_THE_PROJECT = {"django", "rest_framework"}


@pytest.mark.parametrize("path", PROBES, ids=lambda path: path.name)
def test_it_needs_python_3_8_and_the_projects_packages_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    names = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    own = {probe.stem for probe in PROBES}
    assert names <= sys.stdlib_module_names | own | _OF_THE_PROJECT


def test_there_are_probes() -> None:
    assert [path.name for path in PROBES] == ["probe.py", "probe_views.py"]
