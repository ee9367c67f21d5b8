"""Secrets: where they may come from, that one place is enough, and that nothing shows them."""

import traceback
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, IssuerConfig, Secret
from tests.config.samples import SECRET, faults_of, file_with, load_text

KEY = "GATEWAY_ISSUERS__STUDENTS__SIGNING_KEY"


def signing_key(directory: Path, issuer: str, **environ: str) -> str:
    loaded = load_text(directory, file_with(issuer=issuer), environ=environ)
    key = loaded.config.issuers["students"].signing_key
    assert key is not None
    return key.reveal()


EXPANSIONS = {
    "a variable": ("'${A}'", {"A": "x"}, "x"),
    "within text": ("'<${A}>'", {"A": "x"}, "<x>"),
    "a default": ("'${A:-y}'", {}, "y"),
    "a default for an empty variable": ("'${A:-y}'", {"A": ""}, "y"),
    "no default needed": ("'${A:-y}'", {"A": "x"}, "x"),
    "two": ("'${A}${B}'", {"A": "x", "B": "y"}, "xy"),
    "a dollar": ("'a$$b'", {}, "a$b"),
    "an escaped expansion": ("'$${A}'", {}, "${A}"),
    "a dollar that expands nothing": ("'a$b$'", {}, "a$b$"),
    "YAML in a variable stays text": (
        "'${A}'",
        {"A": "x}\nserver: {port: 1"},
        "x}\nserver: {port: 1",
    ),
    "no expansion of what was expanded": ("'${A}'", {"A": "${B}"}, "${B}"),
}


@pytest.mark.parametrize(("text", "environ", "expected"), EXPANSIONS.values(), ids=EXPANSIONS)
def test_variables_expand_in_values(
    tmp_path: Path, text: str, environ: dict[str, str], expected: str
) -> None:
    assert signing_key(tmp_path, f"{{signing_key: {text}}}", **environ) == expected


def test_an_expanded_value_is_converted_like_text(tmp_path: Path) -> None:
    text = file_with(server="{port: '${PORT}', keep_alive: '${KEEP:-5s}', workers: '${N:-1}'}")

    server = load_text(tmp_path, text, environ={"PORT": "9000"}).config.server

    assert (server.port, server.keep_alive, server.workers) == (9000, 5.0, 1)


@pytest.mark.parametrize("text", ["${A", "${}", "${A-b}", "${A:-${B}}", "${1}"])
def test_a_broken_expansion_says_how_it_is_written(tmp_path: Path, text: str) -> None:
    faults = faults_of(tmp_path, file_with(issuer=f"{{signing_key: '{text}'}}"))

    assert faults == [
        "config.yaml:4: issuers.students.signing_key: "
        "write ${NAME} or ${NAME:-default}, and $$ for a $ of its own"
    ]


def test_an_unset_variable_is_named(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, file_with(issuer="{verifying_key: ['${FIRST}', '${SECOND}']}"))

    assert faults == [
        "config.yaml:4: issuers.students.verifying_key[0]: "
        "the environment variable FIRST is not set",
        "config.yaml:4: issuers.students.verifying_key[1]: "
        "the environment variable SECOND is not set",
    ]


FILES = {
    "a newline at the end is not of the secret": (b"abc\n", "abc"),
    "nor one of Windows": (b"abc\r\n", "abc"),
    "other space is": (b" abc \n\n", " abc \n"),
    "no newline": (b"abc", "abc"),
}


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_a_secret_may_stand_in_a_file_beside_the_configuration(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "key").write_bytes(content)

    assert signing_key(tmp_path, "{signing_key: {file: key}}") == expected
    assert signing_key(tmp_path, "{signing_key: {file: '${D}/key'}}", D=str(tmp_path)) == expected


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff", "the file is not UTF-8 text"),
        (b"x" * 65537, "the file is larger than 64KiB"),
    ],
    ids=["empty", "blank", "binary", "large"],
)
def test_an_unusable_secret_file_is_a_fault(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "key").write_bytes(content)

    assert faults_of(tmp_path, file_with(issuer="{signing_key: {file: key}}")) == [
        f"config.yaml:4: issuers.students.signing_key: {why}"
    ]


def test_the_store_url_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("memory://\n", encoding="utf-8")

    text = file_with(store="{url: {file: url}}")

    assert load_text(tmp_path, text).config.store.url == "memory://"


def test_a_verifying_key_may_be_a_list_with_files(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old-key\n", encoding="utf-8")

    text = file_with(issuer="{verifying_key: [new-key, {file: old}]}")

    keys = load_text(tmp_path, text).config.issuers["students"].verifying_key
    assert [key.reveal() for key in keys] == ["new-key", "old-key"]


def test_a_secret_in_file_and_environment_refuses_to_start(tmp_path: Path) -> None:
    assert faults_of(tmp_path, file_with(), environ={KEY: "other-secret"}) == [
        f"{KEY}: issuers.students.signing_key: a secret given twice: also on line 4 of the file"
    ]


def test_a_secret_in_file_and_as_a_file_in_the_environment_refuses_to_start(
    tmp_path: Path,
) -> None:
    assert faults_of(tmp_path, file_with(), environ={f"{KEY}__FILE": "key"}) == [
        f"{KEY}__FILE: issuers.students.signing_key.file: "
        "a secret given twice: also on line 4 of the file"
    ]


def test_a_secret_in_two_variables_refuses_to_start(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        file_with(issuer="{audience: a}"),
        environ={KEY: "one-secret", f"{KEY}__FILE": "key"},
    )

    assert faults == [
        f"{KEY}__FILE: issuers.students.signing_key.file: "
        "a secret given twice: also by another variable"
    ]


def test_a_null_secret_may_come_from_the_environment(tmp_path: Path) -> None:
    assert signing_key(tmp_path, "{signing_key: null}", **{KEY: "the-secret"}) == "the-secret"


def test_a_secret_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n", encoding="utf-8")

    assert signing_key(tmp_path, "{audience: a}", **{f"{KEY}__FILE": "key"}) == "abc"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(SECRET)

    assert (str(secret), repr(secret)) == ("***", "Secret('***')")
    assert secret.reveal() == SECRET
    assert secret == Secret(SECRET)
    assert secret != Secret("other")
    assert secret != SECRET
    assert len({secret, Secret(SECRET)}) == 1


def test_no_repr_of_a_configuration_shows_a_secret(tmp_path: Path) -> None:
    loaded = load_text(
        tmp_path,
        file_with(issuer=f"{{signing_key: {SECRET}, verifying_key: [{SECRET}-2]}}"),
    )

    for shown in (repr(loaded), str(loaded.config), str(loaded.config.model_dump())):
        assert SECRET not in shown


LEAKS = {
    "in a key of another type": file_with(server=f"{{port: {SECRET}}}"),
    "expanded where it does not belong": file_with(server="{port: '${KEY}', host: ['${KEY}']}"),
    "as a name": file_with(route="{path: /, issuers: ['${KEY}'], upstream: '${KEY}'}"),
    "as one of a fixed set": file_with(logging="{level: '${KEY}', format: '${KEY}'}"),
    "as a path": file_with(route="{path: '${KEY}', hosts: ['${KEY} '], upstream: students}"),
    "as a server": file_with(upstream="{servers: ['http://u:${KEY}@h', '${KEY}']}"),
    "as a URL": file_with(issuer="{jwk_url: 'http://u:${KEY}@h/', algorithm: '${KEY}'}"),
    "as the path of a file": file_with(issuer="{signing_key: {file: '${KEY}'}}"),
    "beside `file`": file_with(issuer=f"{{signing_key: {{file: a, text: {SECRET}}}}}"),
    "as a template": file_with(
        upstream="{servers: [http://h], identity: headers, identity_headers: {X: '{${KEY} }'}}"
    ),
    "as a store": file_with(store="{url: 'mysql://:${KEY}@h'}"),
    "as a store with a fault beside it": file_with(
        store="{url: 'redis://:${KEY}@h', max_staleness: 5}"
    ),
    "as an admin token": file_with(admin="{token: '${KEY} ${KEY}'}"),
    "in a list": file_with(issuer=f"[{SECRET}]"),
    "with broken YAML behind": file_with(issuer=f"{{signing_key: {SECRET}, ] }}"),
    "in broken YAML": f"issuers:\n  a:\n    signing_key: {SECRET}: x\n",
    "unquoted with an asterisk": f"issuers: {{a: {{signing_key: *{SECRET}}}}}\n",
    "unquoted with two bangs": f"issuers: {{a: {{signing_key: !{SECRET}!x}}}}\n",
    "unquoted with a bang": f"issuers: {{a: {{signing_key: !{SECRET}}}}}\n",
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS)
def test_no_fault_shows_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, text, environ={"KEY": SECRET})

    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value.faults)
    assert SECRET not in shown


def test_validation_by_hand_hides_its_input() -> None:
    with pytest.raises(ValueError, match="server") as raised:
        Config.model_validate({"server": {"port": SECRET}})

    assert SECRET not in str(raised.value)


def test_a_secret_made_in_code_is_taken_as_it_is() -> None:
    secret = Secret(SECRET)

    assert IssuerConfig.model_validate({"signing_key": secret}).signing_key is secret
