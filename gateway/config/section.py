"""What every section of the file shares: frozen, no unknown keys, defaults as the file writes them.

The markers here only widen the JSON Schema to the short forms that the validators accept.
"""

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


def key(*default: Any, **about: Any) -> Any:
    """A key of a section, as pydantic's Field; the default is written as the file writes it."""
    return Field(*default, **about)


class Section(BaseModel):
    """A mapping of the file whose keys are all known."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, data: Any) -> Any:
        """A key with nothing behind it (all commented out) stands for the defaults."""
        return {} if data is None else data


class OneOrMany:
    """Marks a tuple that the file may write as one value, or leave null for none."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_as_list, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many, {"type": "null"}]}


class OrText:
    """Marks a section that has a short form of one line of text."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


class OrSwitch:
    """Marks an optional section that `true` stands for with its defaults, and `false` for none."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_as_section, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "boolean"}, *handler(schema)["anyOf"]]}


def _as_section(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else None
    return value


def _as_list(value: Any) -> Any:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)
