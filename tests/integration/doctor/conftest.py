"""Starts the project of this directory with a fault, and asks the doctor."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.processes import Processes
from tests.integration.doctor.site import Site, start_site
from tests.integration.servers import RunningApp


@pytest.fixture
def run_site(students: RunningApp, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a site for one test, in the environment of students."""
    with Processes() as children:

        def run(**options: Any) -> Site:
            return start_site(
                students.example.python, directory=tmp_path, children=children, **options
            )

        yield run
