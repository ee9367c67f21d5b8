"""The images, built once for all tests that run them."""

import time
from collections.abc import Iterator

import pytest

from tests.deploy.containers import ROOT, Containers, lacking


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """A store that has the base, and `localhost/gateway:test`."""
    if why := lacking():
        pytest.skip(why)
    store = Containers(tmp_path_factory.mktemp("containers"))
    started = time.monotonic()
    try:
        store.prepare()
        based = time.monotonic()
        store.build(ROOT, "localhost/gateway:test", "--build-arg", "REVISION=tested")
        print(f"base {based - started:.0f} s, image {time.monotonic() - based:.0f} s")
        yield store
    finally:
        store.remove()
