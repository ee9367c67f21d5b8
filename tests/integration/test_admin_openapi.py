"""The OpenAPI document is right, is the committed one, and is what the API answers by."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from docs.reference import DOCS, admin_api
from gateway.endpoints.admin.api import OPERATIONS
from gateway.endpoints.admin.openapi import document
from tests.integration.exchange import ask
from tests.integration.servers import ROOT, RunningApp, RunningGateway
from tests.integration.test_admin_api import BEARER, api, call, config, log_in, refresh, user_of

DOCUMENT = document(OPERATIONS)


def checked(said: Any, model: str) -> None:
    """Raises where an answer is not as the document has it."""
    schema = {**DOCUMENT["components"]["schemas"][model], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(said)


def model_of(path: str, method: str, status: str = "200") -> str:
    (content,) = DOCUMENT["paths"][path][method]["responses"][status]["content"].values()
    return str(content["schema"]["$ref"]).rpartition("/")[2]


def test_the_document_is_an_openapi_document() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_the_committed_document_is_what_the_code_says() -> None:
    assert (DOCS / "admin-api.json").read_text() == admin_api(), "run `make docs`"


@pytest.fixture
def gateway(
    students: RunningApp, run_gateway: Callable[[dict[str, Any]], RunningGateway]
) -> RunningGateway:
    base = config(students)
    base["routes"][0] |= {
        "rate_limit": {"rate": "1000/s"},
        "cors": {"origins": ["https://app.example.org"]},
    }
    return run_gateway(base)


def test_it_is_served(gateway: RunningGateway) -> None:
    answer = ask(gateway.admin, "GET", "/api/openapi.json", headers=[BEARER])
    assert answer.json() == DOCUMENT


def test_every_operation_answers_as_it_is_described(gateway: RunningGateway) -> None:
    pair = log_in(gateway)
    user = user_of(gateway, pair)
    for _ in range(3):
        call(gateway, pair)
        call(gateway, {"access": "a.b.c"})
    assert refresh(gateway, pair).status == 200
    of_user = {"issuer": "students", "user": user}
    (known,) = api(gateway, "GET", "/sessions", **of_user).json()["sessions"]
    queries: dict[tuple[str, str], dict[str, str]] = {
        ("/api/sessions", "get"): of_user,
        ("/api/sessions", "delete"): of_user,
        ("/api/sessions/{issuer}/{session}", "delete"): {"user": user},
        ("/api/reload", "post"): {"dry_run": "true"},
    }
    operations = [
        (path, method) for path in DOCUMENT["paths"] for method in DOCUMENT["paths"][path]
    ]
    operations.sort(key=lambda each: (each[1] == "delete", each[0].count("/") * -1))
    for path, method in operations:
        target = path.replace("{issuer}", "students").replace("{session}", known["id"])
        query = queries.get((path, method), {})
        answer = api(gateway, method.upper(), target.removeprefix("/api"), **query)
        assert answer.status == 200, (path, method, answer.body)
        checked(answer.json(), model_of(path, method))


def test_a_problem_is_answered_as_it_is_described(gateway: RunningGateway) -> None:
    for path, query in (("/sessions", {}), ("/nothing", {}), ("/sessions", {"user": "1"})):
        checked(api(gateway, "GET", path, **query).json(), "Problem")
    checked(ask(gateway.admin, "GET", "/api/status").json(), "Problem")


def test_an_answer_with_a_word_too_many_would_be_told() -> None:
    with pytest.raises(jsonschema.ValidationError):
        checked({"entries": 1, "staleness": None, "token": "x"}, "Revocations")


def codes() -> set[str]:
    """Every code that the admin API can answer."""
    found: set[str] = set()
    for module in (ROOT / "gateway" / "endpoints" / "admin").glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code":
                found |= {
                    str(each.value)
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Constant)
                }
    return found | {"not_found", "method_refused", "store_unavailable"}


def test_every_code_is_in_the_handbook() -> None:
    documented = set(
        re.findall(r"^\| \d{3} \| `(\w+)` \|", Path(DOCS, "admin.md").read_text(), re.M)
    )
    assert documented == codes()
    told = json.dumps(DOCUMENT)
    of_paths = {code for operation in OPERATIONS for _, code in operation.codes}
    assert of_paths <= documented
    assert all(f"`{code}`" in told for code in of_paths)
