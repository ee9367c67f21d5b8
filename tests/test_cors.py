"""The rules of CORS without a gateway: which route decides, what browsers may remember, Vary."""

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.config import RouteConfig
from gateway.cors import Cors, Fields, with_cors
from gateway.request import RequestHead
from gateway.routing import RouteTable
from tests.factories import request

ORIGIN = ("Origin", "https://app.example")
PAGES = {"origins": [ORIGIN[1]]}
OTHERS = {"origins": ["https://other.example"]}


def cors(*routes: dict[str, Any]) -> Cors[str]:
    return Cors(
        RouteTable.compile(
            RouteConfig.model_validate({"auth": "none", "upstream": "app", **route})
            for route in routes
        ),
        preflight="answered here",
    )


def asking(
    method: str = "GET", *, headers: Sequence[str] = (), target: str = "/api/x"
) -> RequestHead:
    fields = [ORIGIN, ("Access-Control-Request-Method", method)]
    fields += [("Access-Control-Request-Headers", line) for line in headers]
    return request(*fields, method="OPTIONS", target=target)


def allowed(rules: Cors[str], preflight: RequestHead, host: str = "") -> dict[str, str] | None:
    """What of the request is allowed; None where the preflight is the upstream's."""
    if rules.find_preflight(preflight, host) is None:
        assert preflight.cors == ()
        return None
    prefix = "access-control-allow-"
    return {
        name.decode().removeprefix(prefix): value.decode()
        for name, value in preflight.cors
        if name.decode().startswith(prefix)
    }


# Which route decides


def test_a_preflight_belongs_to_the_route_of_the_request_that_it_asks_about() -> None:
    rules = cors(
        {"path": "/api", "methods": ["GET", "HEAD"], "cors": PAGES},
        {"path": "/api", "methods": ["POST"], "cors": OTHERS},
        {"path": "/api", "methods": ["DELETE"]},
        {"path": "/"},
    )
    assert allowed(rules, asking("GET")) is not None
    assert allowed(rules, asking("GET")) != {}
    assert allowed(rules, asking("POST")) == {}
    assert allowed(rules, asking("DELETE")) is None
    assert allowed(rules, asking("PUT")) is None


def test_where_no_route_takes_that_request_the_route_of_options_decides() -> None:
    rules = cors({"path": "/api", "methods": ["GET", "OPTIONS"], "cors": PAGES})
    assert allowed(rules, asking("DELETE")) == {}
    assert allowed(rules, asking("DELETE", target="/other")) is None


def test_a_route_is_found_by_its_host_too() -> None:
    rules = cors(
        {"path": "/", "hosts": ["api.example"], "cors": PAGES}, {"path": "/", "cors": OTHERS}
    )
    assert allowed(rules, asking(), "api.example") != {}
    assert allowed(rules, asking(), "www.example") == {}


def test_browsers_are_told_no_method_of_another_rule() -> None:
    """They remember all that are listed, and would send those without asking."""
    rules = cors(
        {"path": "/api/x", "methods": ["DELETE"], "cors": OTHERS},
        {"path": "/api", "methods": ["PUT"]},
        {"path": "/api", "methods": ["POST"], "cors": PAGES},
        {"path": "/api", "methods": ["GET", "HEAD", "OPTIONS"], "cors": dict(PAGES)},
    )
    found = allowed(rules, asking("GET"))
    assert found is not None
    assert found["methods"] == "GET, HEAD, POST, OPTIONS"


# What is allowed


def test_without_a_list_the_usual_is_allowed() -> None:
    rules = cors({"path": "/", "cors": PAGES})
    found = allowed(rules, asking("PATCH", headers=["authorization,content-type,x-csrftoken"]))
    assert found == {
        "origin": ORIGIN[1],
        "methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "headers": "Accept, Authorization, Content-Type, User-Agent, X-CSRFToken, X-Requested-With",
    }


@pytest.mark.parametrize(
    "lines",
    [["X-One, x-two"], ["x-one ,\tx-two"], ["x-one", "x-two"], [",x-one,,x-two,"]],
    ids=["letter case", "blanks", "two lines", "empty members"],
)
def test_headers_are_read_as_a_list(lines: list[str]) -> None:
    rules = cors({"path": "/", "cors": {**PAGES, "headers": ["x-One", "X-TWO"]}})
    assert allowed(rules, asking(headers=lines))
    assert allowed(rules, asking(headers=[*lines, "x-three"])) == {}


def test_all_headers_are_named_back() -> None:
    """Where credentials are sent, browsers take a star for a header of that name."""
    rules = cors({"path": "/", "cors": {**PAGES, "headers": ["*"], "credentials": True}})
    found = allowed(rules, asking(headers=["x-two,authorization"]))
    assert found is not None
    assert (found["headers"], found["credentials"]) == ("authorization, x-two", "true")
    assert allowed(rules, asking(headers=["x-two, no token"])) == {}
    assert allowed(rules, asking(headers=["x-t\xf6"])) == {}


@pytest.mark.parametrize("headers", [[], ["*"]])
def test_where_no_header_is_named_none_is_listed(headers: list[str]) -> None:
    rules = cors({"path": "/", "cors": {**PAGES, "headers": headers}})
    found = allowed(rules, asking())
    assert found is not None
    assert found.keys() == {"origin", "methods"}
    assert (allowed(rules, asking(headers=["x-one"])) == {}) is (headers == [])


@pytest.mark.parametrize("missing", ["Origin", "Access-Control-Request-Method"])
def test_without_its_fields_options_is_no_preflight(missing: str) -> None:
    asked = asking()
    asked.headers = [field for field in asked.headers if field[0] != missing.lower().encode()]
    assert allowed(cors({"path": "/", "cors": PAGES}), asked) is None


# What is read


def test_a_token_endpoint_has_the_fields_of_the_route_that_its_path_would_take() -> None:
    rules = cors(
        {"path": "/api", "methods": ["POST"], "cors": PAGES}, {"path": "/", "cors": OTHERS}
    )
    for method, target, is_readable in [
        ("POST", "/api/token/", True),
        ("GET", "/api/token/", False),
        ("POST", "/gettoken/", False),
    ]:
        asked = request(ORIGIN, method=method, target=target)
        rules.cover(asked, "")
        assert bool(dict(asked.cors).get(b"access-control-allow-origin")) is is_readable
        assert asked.cors[-1] == (b"vary", b"Origin")


def test_a_token_endpoint_that_no_route_covers_says_nothing() -> None:
    asked = request(ORIGIN, method="POST", target="/gettoken/")
    cors({"path": "/api", "cors": PAGES}).cover(asked, "")
    assert asked.cors == ()


CORS: Fields = ((b"access-control-allow-origin", b"*"), (b"vary", b"Origin"))
VARIES: dict[str, tuple[list[bytes], list[bytes]]] = {
    "none": ([], [b"Origin"]),
    "another": ([b"Accept, Cookie"], [b"Accept, Cookie, Origin"]),
    "the same": ([b"Accept, origin"], [b"Accept, origin"]),
    "a star": ([b"*"], [b"*"]),
    "two lines": ([b"Accept", b"Cookie"], [b"Accept", b"Cookie, Origin"]),
    "the same in the first": ([b"Origin", b"Cookie"], [b"Origin", b"Cookie"]),
    "a longer name": ([b"X-Origin"], [b"X-Origin, Origin"]),
}


@pytest.mark.parametrize(("before", "after"), VARIES.values(), ids=VARIES)
def test_vary_is_one_list(before: list[bytes], after: list[bytes]) -> None:
    fields = with_cors([(b"Vary", value) for value in before], CORS)
    assert [value for name, value in fields if name.lower() == b"vary"] == after


def test_what_an_answer_said_of_cors_is_taken_away() -> None:
    said = [
        (b"Content-Type", b"text/plain"),
        (b"Access-Control-Allow-Origin", b"https://evil.example"),
        (b"access-control-max-age", b"9"),
        (b"X-Access-Control-Allow-Origin", b"kept"),
    ]
    assert with_cors(said, CORS) == [said[0], said[3], *CORS]
