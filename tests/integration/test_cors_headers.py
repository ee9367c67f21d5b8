"""An app with django-cors-headers: untouched where no `cors` is on the route, else replaced."""

import re
import sys
from collections.abc import Callable

import pytest

from examples.apps import status_of
from examples.processes import Processes
from tests.factories import SECRET
from tests.integration.exchange import Answer, Door, ask
from tests.integration.servers import ROOT, RunningGateway

ORIGIN = ("Origin", "https://app.example")
FOREIGN = ("Origin", "https://evil.example")
ASKED = ("Access-Control-Request-Method", "POST")
HEADERS = ("Access-Control-Request-Headers", "authorization")


@pytest.fixture(scope="module")
def app(children: Processes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the app under Gunicorn."""
    process = children.start(
        "cors",
        [
            sys.executable, "-B", "-m", "gunicorn", "--bind", "127.0.0.1:0",
            "--no-control-socket", "project",
        ],
        log=tmp_path_factory.mktemp("cors") / "cors.log",
        cwd=ROOT / "tests" / "integration" / "cors",
    )  # fmt: skip
    found = process.wait_for(lambda: re.search(r"Listening at: (http://\S+)", process.output()))
    process.wait_for(lambda: status_of(found[1]))
    return found[1]


@pytest.fixture
def door(app: str, run_gateway: Callable[..., RunningGateway]) -> Door:
    pages = {"origins": ["https://app.example", "https://new.example"], "expose_headers": ["ETag"]}
    to_app = {"upstream": "app"}
    gateway = run_gateway(
        {
            "issuers": {"app": {"signing_key": SECRET}},
            "upstreams": {"app": {"servers": [app]}},
            "routes": [
                {"path": "/open", "auth": "none", **to_app},
                {"path": "/edge", "auth": "none", "cors": pages, **to_app},
                {"path": "/", "issuers": ["app"], **to_app},
            ],
        }
    )
    return Door(app, gateway.address)


def of_cors(answer: Answer) -> dict[str, list[str]]:
    """What an answer says of CORS, every line of it."""
    names = {name.lower() for name, _ in answer.headers}
    return {name: answer.all(name) for name in names if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [ORIGIN, FOREIGN], ids=["listed", "foreign"])
def test_without_cors_on_the_route_the_apps_own_passes_untouched(
    door: Door, origin: tuple[str, str]
) -> None:
    for status in (200, 404, 500):
        answer = door.same("GET", f"/open/{status}/", headers=[origin])
        assert bool(of_cors(answer)) is (origin == ORIGIN)
    for path in ("/open/200/", "/token/200/", "/refreshtoken/"):  # no token is asked for
        answer = door.same("OPTIONS", path, headers=[origin, ASKED, HEADERS])
        assert ("access-control-max-age" in of_cors(answer)) is (origin == ORIGIN)


def test_the_gateways_own_401_echoes_nothing_then(door: Door) -> None:
    answer = ask(door.gateway, "GET", "/token/200/", headers=[ORIGIN])
    assert (answer.status, of_cors(answer)) == (401, {})
    assert "origin" not in (answer.header("Vary") or "").lower()


def test_with_cors_on_the_route_the_apps_own_never_stands_beside_it(door: Door) -> None:
    exposed = ["X-Request-Id, Retry-After, WWW-Authenticate, ETag"]
    for origin in ("https://app.example", "https://new.example"):
        for status in (200, 404, 500):
            answer = ask(door.gateway, "GET", f"/edge/{status}/", headers=[("Origin", origin)])
            assert answer.status == status
            assert of_cors(answer) == {
                "access-control-allow-origin": [origin],
                "access-control-expose-headers": exposed,
            }
            assert [each.lower() for each in answer.all("Vary")] == ["cookie, origin"]
    answer = ask(door.gateway, "GET", "/edge/200/", headers=[FOREIGN])
    assert (answer.status, of_cors(answer)) == (200, {})


def test_the_edge_allows_what_the_app_allows_by_default(door: Door) -> None:
    """django-cors-headers' own lists, so that moving CORS to the edge takes nothing away."""
    direct, through = (
        ask(address, "OPTIONS", "/edge/200/", headers=[ORIGIN, ASKED, HEADERS])
        for address in (door.direct, door.gateway)
    )
    assert (direct.status, through.status) == (200, 204)
    for name in ("access-control-allow-methods", "access-control-allow-headers"):
        usual, ours = (set(answer.all(name)[0].lower().split(", ")) for answer in (direct, through))
        assert usual <= ours
