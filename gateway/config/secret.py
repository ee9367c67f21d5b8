"""Secrets: text that no repr, message or dump shows, given in place or as `{file: PATH}`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_LARGEST_FILE = 64 * 1024

_IN_A_FILE: JsonSchemaValue = {
    "type": "object",
    "properties": {"file": {"type": "string", "description": "Path of a file with the value."}},
    "required": ["file"],
    "additionalProperties": False,
}


class Secret:
    """A text that shows itself only to who asks for it by `reveal()`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_parse)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"writeOnly": True, "anyOf": [{"type": "string"}, _IN_A_FILE]}


class SecretText:
    """Marks a plain string that is as confidential as a Secret (a URL with a password)."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_before_validator_function(text_of, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), _IN_A_FILE]}


def text_of(value: Any, info: ValidationInfo) -> Any:
    """The text behind `{file: PATH}`; any other value as it is.

    Raises ValueError where the file can't be read; the message names no content.
    """
    if not isinstance(value, Mapping):
        return value
    if set(value) != {"file"}:
        if "file" in value:
            raise ValueError("given twice: `file` stands alone")
        raise ValueError("must be text or {file: PATH}")
    name = value["file"]
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError("`file` must be the path of a file")
    try:
        with (directory_of(info) / name).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(
            f"can't read the file: {error.strerror} (paths are relative to the configuration file)"
        ) from None
    if len(content) > _LARGEST_FILE:
        raise ValueError("the file is larger than 64KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def directory_of(info: ValidationInfo) -> Path:
    """Where relative paths start: the directory of the configuration file."""
    return Path((info.context or {}).get("directory", "."))


def _parse(value: Any, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    text = text_of(value, info)
    if not isinstance(text, str):
        raise ValueError("must be text (put it in quotes) or {file: PATH}")
    if not text.strip():
        raise ValueError("is empty")
    return Secret(text)
