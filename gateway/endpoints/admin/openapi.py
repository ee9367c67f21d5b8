"""The OpenAPI document of the admin API, made of the operations that answer."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import __version__
from gateway.endpoints.admin import answers
from gateway.endpoints.admin.operations import Operation

PREFIX = "/api"
DOCUMENT = "/openapi.json"
_ABOUT = (
    "On the admin listener, where `admin.token` is set. All workers answer as one. Errors are "
    "`application/problem+json` with a stable `code`."
)
_OF_ALL = (
    (401, "token_missing"),
    (401, "token_invalid"),
    (404, "admin_off"),
    (421, "host_refused"),
    (429, "rate_limited"),
)
_SCHEMAS = "#/components/schemas/{model}"


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    operations = tuple(operations)
    models: set[type[BaseModel]] = {answers.Problem, *(one.answer for one in operations)}
    _, schemas = models_json_schema(
        [(model, "serialization") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_SCHEMAS,
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(PREFIX + one.told_path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gateway admin API", "version": __version__, "description": _ABOUT},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas["$defs"],
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": one.handler.__name__,
        "summary": one.summary,
        "responses": {"200": _response("Done.", "application/json", one.answer)},
    }
    if one.parameters:
        told["parameters"] = [
            {
                "name": parameter.name,
                "in": "path" if f"{{{parameter.name}}}" in one.told_path else "query",
                "required": parameter.is_required,
                "description": parameter.about,
                "schema": {"type": parameter.kind},
            }
            for parameter in one.parameters
        ]
    codes: dict[int, list[str]] = {}
    for status, code in sorted((*_OF_ALL, *one.codes)):
        codes.setdefault(status, []).append(f"`{code}`")
    for status, words in codes.items():
        told["responses"][str(status)] = _response(
            ", ".join(words), "application/problem+json", answers.Problem
        )
    return told


def _response(about: str, kind: str, model: type[answers.Answer]) -> dict[str, Any]:
    schema = {"$ref": _SCHEMAS.format(model=model.__name__)}
    return {"description": about, "content": {kind: {"schema": schema}}}
