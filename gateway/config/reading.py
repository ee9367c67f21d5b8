"""From a file's bytes to plain values, each with its line.

Rules
- All keys are text; scalars are null, true/false, decimal numbers or text, nothing else.
- A key given twice is a fault. Aliases and merge keys work, within bounds.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from gateway.config.faults import ConfigError, Fault, KeyPath
from gateway.config.source import Source

_LARGEST_FILE = 1 << 20
_MOST_VALUES = 20_000
_DEEPEST = 24

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+", re.ASCII)


def read(path: Path) -> tuple[dict[str, Any], Source, list[Fault]]:
    """The file's values, their places, and the keys given twice.

    Raises ConfigError where the file can't be read at all.
    """
    name = str(path)
    text = _text_of(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_fault(name, text, error)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _unusable(name, "contains a character that YAML does not allow", line) from None
    except RecursionError:
        raise _unusable(name, "is nested too deeply") from None
    if root is None:
        raise _unusable(name, "is empty", 1)
    if not isinstance(root, yaml.MappingNode):
        raise _unusable(name, "must be a mapping of sections such as server: and routes:", 1)
    reader = _Reader(name)
    tree = reader.value(root, ())
    return tree, Source(name, reader.lines), reader.faults


def _text_of(path: Path) -> str:
    name = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise _unusable(name, f"can't be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise _unusable(name, "is larger than 1MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unusable(name, "is not UTF-8 text", line) from None


def _unusable(name: str, message: str, line: int = 0) -> ConfigError:
    return ConfigError([Fault(f"{name}:{line}" if line else name, "", message, line)])


def _syntax_fault(name: str, text: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 1
    written = text.splitlines()[line - 1 : line]
    if "\\t" in (error.problem or "") or any(re.match(r" *\t", row) for row in written):
        message = "a tab can't indent YAML; use spaces"
    else:
        # An alias or a tag may be the beginning of an unquoted secret: it is not repeated.
        problem = re.sub(r"(alias|handle) .+", r"\1", error.problem or error.context or "")
        hint = " (quote a value that begins with * & or !)" if problem != error.problem else ""
        message = f"not valid YAML: {problem}{hint}"
    return Fault(f"{name}:{line}", "", message, line)


class _Reader:
    """Turns YAML nodes into values, and remembers the line of each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[Fault] = []
        self._values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        line = node.start_mark.line + 1
        if self._values > _MOST_VALUES:
            raise _unusable(self.name, "holds too many values (aliases count each time)", line)
        if len(path) > _DEEPEST:
            raise _unusable(self.name, "is nested too deeply", line)
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._expect_tag(node, "seq")
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._expect_tag(node, "map")
        found: dict[str, Any] = {}
        for key, value in self._pairs(node, path):
            below = (*path, key.value)
            self.lines[below] = key.start_mark.line + 1
            found[key.value] = self.value(value, below)
        return found

    def _pairs(
        self, node: yaml.MappingNode, path: KeyPath, depth: int = 0
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """The mapping's own pairs, then those merged into it that it does not have itself."""
        own: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _unusable(self.name, "keys must be plain text", line)
            if key.tag == f"{_TAG}merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.value in own:
                message = f"given twice (first on line {own[key.value]})"
                self.faults.append(Source(self.name).fault_on(line, message, (*path, key.value)))
            else:
                own[key.value] = line
                yield key, value
        for other in merged:
            line = other.start_mark.line + 1
            if not isinstance(other, yaml.MappingNode):
                raise _unusable(self.name, "<< merges mappings alone", line)
            if depth > _DEEPEST:
                raise _unusable(self.name, "is nested too deeply", line)
            for key, value in self._pairs(other, path, depth + 1):
                if key.value not in own:
                    own[key.value] = key.start_mark.line + 1
                    yield key, value

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return SafeConstructor.bool_values[text.lower()]
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "float" and _DECIMAL.fullmatch(text):
            return float(text)
        if kind not in ("str", "int", "float", "timestamp", "value"):
            self._expect_tag(node, "str")
        return text

    def _expect_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            line = node.start_mark.line + 1
            raise _unusable(self.name, "YAML tags such as !name are not supported", line)
