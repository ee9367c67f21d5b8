"""The admin listener's token: what can be sent in a header, and is not guessed."""

from pathlib import Path

import pytest

from gateway.config import load
from tests.config.samples import faults_of, file_with


@pytest.mark.parametrize("token", ["two words", "\u00e9t\u00e9-et-automne", "line\\nbreak"])
def test_what_a_header_can_not_carry_is_refused(tmp_path: Path, token: str) -> None:
    (fault,) = faults_of(tmp_path, file_with(admin=f'{{token: "{token}"}}'))
    assert fault.startswith("config.yaml:9: admin.token: must be visible ASCII")
    assert token not in fault


@pytest.mark.parametrize(
    ("token", "is_short"), [("x" * 15, True), ("x" * 16, False)], ids=["15", "16"]
)
def test_a_short_one_is_a_doubt(tmp_path: Path, token: str, is_short: bool) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(file_with(admin=f"{{token: {token}}}"), encoding="utf-8")
    doubts = [str(doubt) for doubt in load(file, environ={}).warnings]
    assert [doubt for doubt in doubts if "admin.token: short enough to be guessed" in doubt] == (
        doubts if is_short else []
    )


def test_it_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-from-a-file\n")
    file = tmp_path / "config.yaml"
    file.write_text(file_with(admin="{token: {file: token}}"), encoding="utf-8")
    token = load(file, environ={}).config.admin.token
    assert token is not None
    assert token.reveal() == "a-token-from-a-file"
