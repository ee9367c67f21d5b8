"""Pydantic's findings in the words of the file: what is expected, never what was given."""

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from gateway.config.faults import KeyPath
from gateway.config.schema import Shape

_SENTENCES = {
    "missing": "required, but not given",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and not that large",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list, such as [one, two]",
    "too_short": "needs at least one entry",
}


def sentences(errors: Iterable[ErrorDetails], shape: Shape) -> list[tuple[KeyPath, str]]:
    """All findings but those that only follow from another."""
    kept = [error for error in errors if error["type"] != "default_factory_not_called"]
    within = {error["loc"][:end] for error in kept for end in range(len(error["loc"]))}
    return [
        _sentence(error, shape)
        for error in kept
        if error["type"] != "too_short" or error["loc"] not in within
    ]


def _sentence(error: ErrorDetails, shape: Shape) -> tuple[KeyPath, str]:
    """The key path and the message of one finding."""
    path: KeyPath = tuple(key for key in error["loc"] if key != "[key]")
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        section = shape.at(path[:-1])
        return path, _unknown(str(path[-1]), section.keys if section is not None else ())
    if kind == "string_type":
        return path, "must not be null" if given is None else "must be text; put it in quotes"
    if kind == "literal_error":
        return path, f"must be {error['ctx']['expected']}".replace("'", "")
    message = _SENTENCES.get(kind) or error["msg"].removeprefix("Value error, ")
    return path, message.replace("Input should be", "must be")


def _unknown(key: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(key.lower(), known, 1)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; known here: {', '.join(known)}"


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """That a name leads nowhere, with the name that may be meant, or all there are."""
    names = list(known)
    close = get_close_matches(name, names, 1)
    if close:
        return f"no {kind} of this name; did you mean {close[0]}?"
    return f"no {kind} of this name" + (f"; known: {', '.join(names)}" if names else "")
