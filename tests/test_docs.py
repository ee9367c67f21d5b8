"""The documentation says what the code does: generated parts, reasons, examples, links, targets."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from docs.reference import pages, written
from gateway import errors
from gateway.config import Config, load
from gateway.errors import Flaw, GatewayError, UpstreamError

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
GENERATED = pages()

Denial = tuple[int, str]


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_parts_are_what_the_code_says(page: Path) -> None:
    text = page.read_text()
    assert written(text, GENERATED[page]) == text, "run `make docs`"


def test_a_page_without_the_marks_is_told() -> None:
    with pytest.raises(ValueError, match="'keys'"):
        written("nothing", {"keys": ""})


def test_every_key_of_the_file_is_documented() -> None:
    tables = (ROOT / "docs" / "configuration.md").read_text()
    for name in Config.model_fields:
        assert f"\n### {name}\n" in tables


# Reasons


def documented() -> set[Denial]:
    text = (ROOT / "docs" / "errors.md").read_text()
    return {
        (int(status), reason)
        for status, reason in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE)
    }


def denials() -> set[Denial]:
    """Every status with its reason that the code can answer."""
    found = {(401, flaw.reason) for flaw in Flaw}
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, GatewayError) and "reason" in vars(error):
            found.add((error.status, error.reason))
    for module in (ROOT / "gateway").rglob("*.py"):
        found |= set(literal_denials(ast.parse(module.read_text())))
    return found


def literal_denials(tree: ast.AST) -> Iterator[Denial]:
    """Calls with a status and a reason, such as RequestRefused(400, "path_invalid", …)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.args[:2]:
                case [ast.Constant(int(status)), ast.Constant(str(reason))] if status in STATUSES:
                    yield status, reason


STATUSES = range(400, 600)


def test_every_reason_has_its_line() -> None:
    assert denials() == documented()


def test_the_reasons_of_all_modules_are_found() -> None:
    found = denials()
    assert {(400, "path_invalid"), (408, "body_timeout"), (401, "token_expired")} <= found
    assert (UpstreamError.refused().status, UpstreamError.refused().reason) in found


# Examples


def whole_configurations() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(
            r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
        ):
            if "\nroutes:" in block and "upstreams:" in block:
                yield page.name, block


CONFIGURATIONS = list(whole_configurations())


@pytest.mark.parametrize("block", [block for _, block in CONFIGURATIONS], ids=dict(CONFIGURATIONS))
def test_a_whole_configuration_on_a_page_is_accepted(block: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(block)
    secret = "a-secret-for-this-test-alone-with-its-fifty-characters"
    load(file, environ={"DJANGO_SECRET_KEY": secret})


# Links and targets


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                yield page, target


@pytest.mark.parametrize(
    ("page", "target"),
    [pytest.param(page, target, id=f"{page.name} {target}") for page, target in links()],
)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    assert (page.parent / target.partition("#")[0]).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_make_is_a_target(page: Path) -> None:
    named = set(re.findall(r"`make ([\w-]+)", page.read_text()))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_the_layers_shown_are_the_layers_kept() -> None:
    contract = re.search(r"layers = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert contract is not None
    layers = [name for row in re.findall(r'"(.*)"', contract[1]) for name in row.split(" | ")]
    shown = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## The house")[2]
    diagram = re.search(r"^```\n(.*?)^```$", shown, re.DOTALL | re.MULTILINE)
    assert diagram is not None
    rows = [re.split(r" {3,}", row)[0] for row in diagram[1].splitlines()]
    assert [name for row in rows for name in row.split(" | ")] == layers, indent(diagram[1], "  ")
