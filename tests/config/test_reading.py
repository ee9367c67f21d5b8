"""From bytes to values: files that can't be read, and what YAML may and may not do here."""

import os
from pathlib import Path

import pytest

from gateway.config import ConfigError, find_file, load
from tests.config.samples import faults_of, file_with, load_text

LONG = "a: " + "x" * (1 << 20)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)

UNREADABLE = {
    "empty": ("", ":1: is empty"),
    "only a comment": ("# nothing\n", ":1: is empty"),
    "a list": ("- a\n", ":1: must be a mapping of sections such as server: and routes:"),
    "a word": ("word\n", ":1: must be a mapping of sections"),
    "indented by tabs": ("server:\n\tport: 1\n", ":2: a tab can't indent YAML; use spaces"),
    "a tab behind spaces": ("server:\n  port: 1\n \thost: x\n", ":3: a tab can't indent YAML"),
    "an open bracket": ("server: {port: 1\nstore: {}\n", ":2: not valid YAML: expected ',' or '}'"),
    "a missing colon": ("server:\n  port 8080\n  host: x\n", ":3: not valid YAML: mapping values"),
    "two documents": ("a: 1\n---\nb: 1\n", ":2: not valid YAML: but found another document"),
    "an unknown alias": (
        "a: *b\n",
        ":1: not valid YAML: found undefined alias (quote a value that",
    ),
    "a bell": ("a: 1\nb: \x07\n", ":2: contains a character that YAML does not allow"),
    "a tag": ("a: 1\nserver: !!python/object:os.system {}\n", ":2: YAML tags such as !name"),
    "a tagged scalar": ("a: !secret x\n", ":1: YAML tags such as !name are not supported"),
    "a set": ("a: !!set {x}\n", ":1: YAML tags such as !name are not supported"),
    "a list as key": ("[a, b]: 1\n", ":1: keys must be plain text"),
    "an alias bomb": (BOMB, ": holds too many values (aliases count each time)"),
    "an alias of itself": ("a: &a [*a]\n", ":1: is nested too deeply"),
    "a merge of itself": ("a: &a {<<: *a}\n", ":1: is nested too deeply"),
    "a merge of a word": ("a: {<<: word}\n", ":1: << merges mappings alone"),
    "nested 5,000 deep": ("a: " + "[" * 5000, ": is nested too deeply"),
    "too large": (LONG, ": is larger than 1MiB"),
}


@pytest.mark.parametrize(("text", "fault"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_file_is_one_clear_fault(tmp_path: Path, text: str, fault: str) -> None:
    faults = faults_of(tmp_path, text)

    assert len(faults) == 1, faults
    assert faults[0].startswith("config.yaml:")
    assert fault.removeprefix(":") in faults[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "gone.yaml", environ={})

    assert str(raised.value) == f"{tmp_path}/gone.yaml: can't be read: No such file or directory"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be read: Is a directory"):
        load(tmp_path, environ={})


def test_text_that_is_not_utf_8_is_found_on_its_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"server: {}\n# \xe9\n")

    with pytest.raises(ConfigError, match=r"config\.yaml:2: is not UTF-8 text"):
        load(tmp_path / "config.yaml", environ={})


def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(
        b"\xef\xbb\xbf" + file_with().replace("\n", "\r\n").encode()
    )

    assert load(tmp_path / "config.yaml", environ={}).config.server.port == 8080


def test_a_key_given_twice_is_a_fault_on_its_second_line(tmp_path: Path) -> None:
    text = file_with() + "server: {port: 1}\n"

    assert faults_of(tmp_path, text) == ["config.yaml:12: server: given twice (first on line 1)"]


def test_a_secret_given_twice_in_the_file_refuses_to_start(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, file_with(issuer="{signing_key: aaaa, signing_key: bbbb}"))

    assert fault == "config.yaml:4: issuers.students.signing_key: given twice (first on line 4)"


def test_aliases_and_merge_keys_share_what_is_alike(tmp_path: Path) -> None:
    text = file_with(
        route="&first {path: /a, issuers: [students], upstream: students, auth: optional}\n"
        "  - {<<: *first, path: /b}\n"
        "  - &third {path: /c, auth: required}\n"
        "  - {<<: [*third, *first], path: /d}"
    ).replace("&third {", "&third {issuers: [students], upstream: students, ")

    routes = load_text(tmp_path, text).config.routes

    assert [(route.path, route.auth) for route in routes] == [
        ("/a", "optional"),
        ("/b", "optional"),
        ("/c", "required"),
        ("/d", "required"),
    ]


def test_a_fault_in_a_merged_key_is_on_the_line_where_it_stands(tmp_path: Path) -> None:
    text = file_with(
        route="&first\n    path: /a\n    auth: none\n    upstream: gone\n  - {<<: *first, path: /b}"
    )

    assert faults_of(tmp_path, text) == [
        "config.yaml:11: routes[0].upstream: no upstream of this name; known: students",
        "config.yaml:11: routes[1].upstream: no upstream of this name; known: students",
    ]


PLAIN = {
    "a time of day is text": ("{signing_key: 12:30:45-12:30:45}", "12:30:45-12:30:45"),
    "a date is text": ("{signing_key: 2024-01-01}", "2024-01-01"),
    "sixty-based numbers are text": ("{signing_key: 190:20:30}", "190:20:30"),
    "hexadecimal is text": ("{signing_key: 0x1F}", "0x1F"),
    "infinity is text": ("{signing_key: .inf}", ".inf"),
    "a huge number is text": ("{signing_key: " + "9" * 5000 + "}", "9" * 5000),
    "an equals sign is text": ("{signing_key: =}", "="),
    "a tagged number is text": ("{signing_key: !!str 5}", "5"),
}


@pytest.mark.parametrize(("issuer", "expected"), PLAIN.values(), ids=PLAIN)
def test_only_plain_scalars_have_a_type(tmp_path: Path, issuer: str, expected: str) -> None:
    key = load_text(tmp_path, file_with(issuer=issuer)).config.issuers["students"].signing_key

    assert key is not None
    assert key.reveal() == expected


def test_keys_that_yaml_takes_for_something_else_are_text(tmp_path: Path) -> None:
    text = (
        file_with()
        .replace("  students: {servers", "  on: {servers")
        .replace("upstream: students", "upstream: 'on'")
    )

    assert list(load_text(tmp_path, text).config.upstreams) == ["on"]


def test_a_name_is_one_word(tmp_path: Path) -> None:
    text = (
        file_with()
        .replace("  students: {signing", "  a.b: {signing")
        .replace("[students]", "[a.b]")
    )

    assert faults_of(tmp_path, text) == [
        "config.yaml:4: issuers.a.b: a name has letters, digits, - and _ alone"
    ]


def test_a_wrong_name_hides_no_fault_below_it(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path, file_with().replace("  students: {servers", "  a b: {retries: x, servers")
    )

    assert "config.yaml:6: upstreams.a b: a name has letters, digits, - and _ alone" in faults
    assert "config.yaml:6: upstreams.a b.retries: must be a whole number" in faults


def test_a_strange_key_is_shown_without_control_characters(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, file_with(server='{"a\\nb": 1}'))

    assert fault.startswith("config.yaml:1: server.a\\nb: unknown key")


def test_the_file_is_found_by_variable_then_in_the_usual_places(tmp_path: Path) -> None:
    here, there = tmp_path / "config.yaml", tmp_path / "etc.yaml"
    there.touch()

    assert find_file({"GATEWAY_CONFIG": "x.yaml"}, [here, there]) == Path("x.yaml")
    assert find_file({"GATEWAY_CONFIG": ""}, [here, there]) == there
    here.touch()
    assert find_file({}, [here, there]) == here


def test_where_no_file_is_there_the_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration: .*a\.yaml and .*b\.yaml are not"):
        find_file({}, [tmp_path / "a.yaml", tmp_path / "b.yaml"])


def test_without_a_path_the_variable_counts(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(file_with(), encoding="utf-8")

    loaded = load(None, environ={"GATEWAY_CONFIG": str(tmp_path / "mine.yaml")})

    assert loaded.source.file == os.fspath(tmp_path / "mine.yaml")
