"""Which route answers."""

from typing import Any

import pytest

from gateway.config import RouteConfig
from gateway.errors import RequestRefused, RouteNotFound
from gateway.request import host_name
from gateway.routing import OwnPaths, RouteTable, explain


def table(*routes: dict[str, Any]) -> RouteTable:
    return RouteTable.compile(
        RouteConfig(**{"auth": "none", "upstream": "u", **route}) for route in routes
    )


TABLE = table(
    {"path": "=/api/exact", "name": "exact"},
    {"path": "/api/items", "name": "read", "methods": ["GET", "HEAD"]},
    {"path": "/api", "name": "api"},
    {"path": "/dir/", "name": "dir"},
    {"path": "/", "name": "host", "hosts": ["api.example.org", "*.example.com"]},
    {"path": "/only", "name": "only", "hosts": ["one.example"]},
    {"path": "/open", "name": "open"},
)


@pytest.mark.parametrize(
    ("method", "host", "path", "name"),
    [
        ("GET", "", b"/api/exact", "exact"),
        ("GET", "", b"/api/exact/", "api"),
        ("GET", "", b"/api/items", "read"),
        ("GET", "", b"/api/items/1", "read"),
        ("POST", "", b"/api/items/1", "api"),
        ("GET", "", b"/api/itemsx", "api"),
        ("GET", "", b"/api", "api"),
        ("GET", "", b"/dir/", "dir"),
        ("GET", "", b"/dir/x", "dir"),
        ("GET", "api.example.org", b"/x", "host"),
        ("GET", "a.example.com", b"/x", "host"),
        ("GET", "a.b.example.com", b"/x", "host"),
        ("GET", "one.example", b"/only", "only"),
        ("GET", "one.example", b"/open", "open"),
    ],
)
def test_the_first_match_wins(method: str, host: str, path: bytes, name: str) -> None:
    assert TABLE.match(method, host, path).name == name


@pytest.mark.parametrize(
    ("host", "path"),
    [("", b"/"), ("", b"/apix"), ("", b"/dir"), ("example.com", b"/x"), ("two.example", b"/only"),
     ("", b"/API")],
)  # fmt: skip
def test_no_route_is_a_404(host: str, path: bytes) -> None:
    with pytest.raises(RouteNotFound):
        TABLE.match("GET", host, path)


PROTECTED = table({"path": "/students", "name": "protected"}, {"path": "/", "name": "open"})


@pytest.mark.parametrize("path", [b"//students/", b"/\\students"])
def test_a_protected_path_in_another_writing_is_refused(path: bytes) -> None:
    with pytest.raises(RequestRefused):
        PROTECTED.match("GET", "", path)


@pytest.mark.parametrize(
    ("path", "name"), [(b"/students//1", "protected"), (b"/a//b", "open"), (b"//a", "open")]
)
def test_merged_slashes_that_change_nothing_are_let_through(path: bytes, name: str) -> None:
    assert PROTECTED.match("GET", "", path).name == name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (None, ""),
        (b"Example.ORG", "example.org"),
        (b"example.org:8080", "example.org"),
        (b"example.org.", "example.org"),
        (b"[::1]:80", "::1"),
        (b"[2001:DB8::1]", "2001:db8::1"),
    ],
)
def test_the_name_that_routes(host: bytes | None, name: str) -> None:
    assert host_name(host) == name


def test_the_memory_of_a_table_is_bounded_and_right() -> None:
    routes = table({"path": "/a", "name": "a"}, {"path": "/b", "name": "b"})
    for _ in range(2):
        for number in range(5000):
            assert routes.match("GET", "", b"/a/%d" % number).name == "a"
        assert routes.match("GET", "", b"/b").name == "b"
    assert len(routes._known) <= 4096


def test_explain_says_why_the_earlier_ones_did_not_answer() -> None:
    steps = [(route.name, why) for route, why in explain(TABLE, "POST", "", b"/api/items")]
    assert steps == [("exact", "path differs"), ("read", "method differs"), ("api", "answers")]
    steps = [(route.name, why) for route, why in explain(TABLE, "GET", "x", b"/none")]
    assert steps[-3:] == [
        ("host", "host differs"), ("only", "host differs"), ("open", "path differs"),
    ]  # fmt: skip


OWN: OwnPaths[str] = OwnPaths(
    [
        ("/token/", None, "all"),
        ("/login/", ("a.example",), "a"),
        ("/login/", ("*.example",), "any"),
        ("/x", ("one.test",), "one"),
    ]
)


@pytest.mark.parametrize(
    ("host", "path", "own"),
    [
        ("", b"/token/", "all"),
        ("b.example", b"/token/", "all"),
        ("a.example", b"/login/", "a"),
        ("b.example", b"/login/", "any"),
        ("c.b.example", b"/login/", "any"),
        ("example", b"/login/", None),
        ("aexample", b"/login/", None),
        ("", b"/login/", None),
        ("one.test", b"/x", "one"),
        ("two.test", b"/x", None),
        ("", b"/token", None),
        ("", b"/token/x", None),
        ("", b"/TOKEN/", None),
        ("", b"/a//b", None),
    ],
)
def test_the_gateways_own_paths_are_exact(host: str, path: bytes, own: str | None) -> None:
    assert OWN.find(host, path) == own


@pytest.mark.parametrize(
    ("host", "path", "is_refused"),
    [
        ("", b"//token/", True),
        ("", b"/token//", True),
        ("", b"/\\token/", True),
        ("", b"/token\\", True),
        ("a.example", b"//login/", True),
        ("two.test", b"//login/", False),
        ("two.test", b"//x", False),
        ("one.test", b"//x", True),
        ("", b"//token//x", False),
    ],
)
def test_an_own_path_in_another_writing_is_refused(
    host: str, path: bytes, is_refused: bool
) -> None:
    if is_refused:
        with pytest.raises(RequestRefused):
            OWN.find(host, path)
    else:
        assert OWN.find(host, path) is None


def test_without_own_paths_everything_is_the_routes() -> None:
    assert OwnPaths[str]().find("", b"//token/") is None
