"""A gateway without sockets, for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.fuzz.harness import Harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    opened = Harness(tmp_path_factory.mktemp("gateway"))
    yield opened
    opened.close()
