"""Writes the generated parts of docs/: the file's keys, what the recordings say, the admin API.

`python -m docs.reference` writes what stands between the marks anew; a test keeps both equal.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.config import json_schema
from gateway.endpoints.admin.api import OPERATIONS
from gateway.endpoints.admin.openapi import document
from tests.wire.recipes import recording
from tests.wire.test_api_rows import ALL, KNOWN_DIFFERENCES, RUNS
from tests.wire.test_token_rows import blocks

DOCS = Path(__file__).parent
# How the patterns of quantities end.
_UNITS = {"ms|s|m|h|d)$": "duration", "GiB": "size", "[0-7]": "file mode"}

Schema = dict[str, Any]


def written(text: str, blocks: dict[str, str]) -> str:
    """The page with the blocks between their marks; each block must have its marks."""
    for name, block in blocks.items():
        opening, closing = f"<!-- generated: {name} -->\n", "<!-- end -->"
        pattern = re.compile(re.escape(opening) + ".*?" + re.escape(closing), re.DOTALL)
        content = f"{opening}\n{block}\n{closing}"
        text, count = pattern.subn(lambda _, new=content: new, text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the marks of the block {name!r} are not there exactly once")
    return text


def pages() -> dict[Path, dict[str, str]]:
    """Every page with generated blocks."""
    return {
        DOCS / "configuration.md": {"keys": keys()},
        DOCS / "wire-compatibility.md": {
            "runs": runs(),
            "differences": differences(),
            **blocks(),
        },
    }


# Every key of the file


def keys() -> str:
    """A table for each section, in the file's order, each followed by the sections within it."""
    schema = json_schema()
    parts: list[str] = []
    for key, form in schema["properties"].items():
        name = next(_references(form))
        parts += _section(name, key, schema["$defs"])
    return "\n".join(parts)


def _section(name: str, title: str, definitions: Schema) -> Iterator[str]:
    definition = definitions[name]
    yield f"### {title}\n\n{definition['description']}\n"
    yield "| key | takes | default | meaning |\n|---|---|---|---|"
    within: list[tuple[str, str]] = []
    for key, form in definition["properties"].items():
        default = _default(key, form, definition)
        meaning = _meaning(form, definitions)
        yield f"| `{key}` | {_takes(form)} | {default} | {meaning} |"
        within += [(inner, key) for inner in _references(form)]
    yield ""
    for inner, key in within:
        yield from _section(inner, f"{title}.{key}", definitions)


def _references(form: Any) -> Iterator[str]:
    """The sections that a key leads to."""
    if "$ref" in form:
        yield form["$ref"].rpartition("/")[2]
    for inner in (
        *form.get("anyOf", ()),
        *(form[k] for k in ("items", "additionalProperties") if isinstance(form.get(k), dict)),
    ):
        yield from _references(inner)


def _meaning(form: Schema, definitions: Schema) -> str:
    """The key's description, which pydantic leaves out where it is that of its section."""
    about = form.get("description") or definitions[next(_references(form))]["description"]
    return str(about).replace("|", "\\|")


def _default(key: str, form: Schema, definition: Schema) -> str:
    if key in definition.get("required", ()):
        return "*required*"
    if "default" in form:
        value = form["default"]
        return f"`{value if isinstance(value, str) else json.dumps(value)}`"
    if "$ref" in form:
        return "its own"
    return "`{}`" if form.get("type") == "object" else "see there"


def _takes(form: Schema) -> str:
    """What may be written, in a few words."""
    pattern = form.get("pattern", "")
    if form.get("writeOnly"):
        return "secret"
    if "anyOf" in form:
        return _either([_takes(inner) for inner in form["anyOf"]])
    if "$ref" in form:
        return "section"
    if "enum" in form:
        return " ".join(f"`{value}`" for value in form["enum"])
    if pattern:
        return "rate" if "/" in pattern else next(u for end, u in _UNITS.items() if end in pattern)
    match form["type"]:
        case "array":
            return f"list of {_takes(form['items'])}"
        case "object":
            values = form["additionalProperties"]
            return f"mapping to {_takes(values)}" if values else "`{file: PATH}`"
        case "boolean":
            return "`true` `false`"
        case "integer" | "number":
            return "number"
        case "null":
            return ""
        case str(kind):
            return {"string": "text"}[kind]
        case kinds:
            return "any scalar or list" if "array" in kinds else "text"


def _either(forms: list[str]) -> str:
    forms = list(dict.fromkeys(form for form in forms if form))
    if len(forms) == 2 and forms[1] == f"list of {forms[0]}":
        return f"{forms[0]}, or a list"
    return " or ".join(forms)


# What the recordings say


def runs() -> str:
    """How many of each run's recorded requests are answered alike."""
    lines = ["| run | recorded from | decided alike | known differences |", "|---|---|---|---|"]
    total: Counter[bool] = Counter()
    for run in RUNS:
        meta = recording(run.name)["meta"]
        counts = Counter(
            (run.name, row["case"]) in KNOWN_DIFFERENCES for other, row in ALL if other is run
        )
        total += counts
        lines.append(
            f"| `{run.name}` | {meta['package']} {meta['version']} on Django "
            f"{meta['versions']['django']}, DRF {meta['versions']['drf']} "
            f"| {counts[False]} | {counts[True]} |"
        )
    lines.append(f"| **all** | | **{total[False]}** | **{total[True]}** |")
    return "\n".join(lines) + "\n"


def differences() -> str:
    """Every known difference with its reason, and the recorded cases it concerns."""
    concerned: dict[str, Counter[str]] = {}
    for run, row in ALL:
        reason = KNOWN_DIFFERENCES.get((run.name, row["case"]))
        if reason is not None:
            concerned.setdefault(reason, Counter())[row["case"]] += 1
    lines = ["| rows | recorded cases | reason |", "|---|---|---|"]
    for reason, cases in sorted(concerned.items(), key=lambda item: -item[1].total()):
        names = "<br>".join(f"`{case}`" for case in sorted(cases))
        lines.append(f"| {cases.total()} | {names} | {reason} |")
    return "\n".join(lines) + "\n"


# The admin API


def admin_api() -> str:
    """Its OpenAPI document, as `/api/openapi.json` serves it."""
    return json.dumps(document(OPERATIONS), indent=2) + "\n"


def main() -> None:
    (DOCS / "admin-api.json").write_text(admin_api())
    for page, parts in pages().items():
        page.write_text(written(page.read_text(), parts))


if __name__ == "__main__":
    main()
