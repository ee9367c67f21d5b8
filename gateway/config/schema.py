"""The JSON Schema of the file, and finding one's way in it by key path."""

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from gateway.config.document import Config
from gateway.config.faults import KeyPath


class _Untitled(GenerateJsonSchema):
    """Without the titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> dict[str, Any]:
        return {"$schema": self.schema_dialect, **super().generate(schema, mode)}


def json_schema() -> dict[str, Any]:
    """What `gateway schema` prints."""
    return Config.model_json_schema(schema_generator=_Untitled)


class Shape:
    """What the schema says about one place in the file."""

    def __init__(self, schema: dict[str, Any], definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._forms = tuple(self._flat(schema))

    @classmethod
    def of_file(cls) -> "Shape":
        schema = json_schema()
        return cls(schema, schema["$defs"])

    def _flat(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The schema and all its alternatives."""
        yield schema
        if "$ref" in schema:
            yield from self._flat(self._definitions[schema["$ref"].rpartition("/")[2]])
        for form in schema.get("anyOf", ()):
            yield from self._flat(form)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are known by name here."""
        return tuple(key for form in self._forms for key in form.get("properties", ()))

    @property
    def takes_text(self) -> bool:
        return any("string" in form.get("type", ()) for form in self._forms)

    @property
    def is_list(self) -> bool:
        return any(form.get("type") == "array" for form in self._forms)

    @property
    def is_secret(self) -> bool:
        return any(form.get("writeOnly") for form in self._forms)

    def child(self, key: str | int) -> "Shape | None":
        """What stands below `key`; None where the schema knows no such key."""
        for form in self._forms:
            if isinstance(key, int):
                below = form.get("items")
            else:
                below = form.get("properties", {}).get(key, form.get("additionalProperties"))
            if isinstance(below, dict):
                return Shape(below, self._definitions)
        return None

    def at(self, path: KeyPath) -> "Shape | None":
        shape: Shape | None = self
        for key in path:
            shape = shape.child(key) if shape is not None else None
        return shape
