"""The images, built once for all tests that run them; which tells how long that took.

Those tests want root and podman, and take minutes: `make test-containers` runs them, and so does
whoever requires all tests.
"""

import copy
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Figure
from tests.deploy.containers import ROOT, Containers, lacking
from tests.deploy.manifests import FORMS, Rendered, render

APPS = ("students", "accounts", "employees")
SERVERS = "localhost/servers:test"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TEST_CONTAINERS") or os.environ.get("GATEWAY_REQUIRE_ALL"):
        return
    running = [item for item in items if "containers" in getattr(item, "fixturenames", ())]
    if running:
        config.hook.pytest_deselected(items=running)
        items[:] = [item for item in items if item not in running]


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory, figure: Figure) -> Iterator[Containers]:
    """A store that has the base, and the image that `make image` makes on it."""
    if why := lacking(tmp_path_factory.mktemp("overlay")):
        pytest.skip(why)
    store = Containers(tmp_path_factory.mktemp("containers"))
    started = time.monotonic()
    try:
        store.prepare()
        based = time.monotonic()
        store.make_image()
        figure(f"base {based - started:.0f} s, image {time.monotonic() - based:.0f} s")
        yield store
    finally:
        store.remove()


@pytest.fixture(scope="session")
def images(containers: Containers, figure: Figure) -> Containers:
    """The store once it also has SERVERS and the sample apps, `localhost/gateway-APP:test`."""
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:  # a build mostly waits for what it downloads
        builds = [pool.submit(containers.build_servers, SERVERS)]
        for app in APPS:
            tag = f"localhost/gateway-{app}:test"
            own = ("--build-arg", f"APP={app}")
            builds.append(pool.submit(containers.build, ROOT / "examples", tag, *own))
    for build in builds:
        build.result()
    figure(f"images of the sample apps, nginx and Redis {time.monotonic() - started:.0f} s")
    return containers


@pytest.fixture(scope="session")
def rendered() -> Rendered:
    """The manifests of a form, which whoever asks may change."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    of = {form: render(form, kubectl=kubectl) for form in FORMS}
    return lambda form: copy.deepcopy(of[form])
