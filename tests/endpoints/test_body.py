"""Bodies are read, and refused, as REST framework does it."""

import json
from urllib.parse import quote

import pytest

from gateway.endpoints.body import Fields, read_fields
from gateway.errors import BodyInvalid, FieldInvalid, GatewayError
from tests.profiles.wire_form import (
    ALLOW,
    BODY_CASES,
    RUNS,
    Run,
    differences,
    endpoint_of,
    endpoint_rows,
)
from tests.wire.recipes import Row

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=BND"

OLDER_DJANGO = "Django 2.2 took a multipart body without a boundary for an empty one"
KNOWN_DIFFERENCES = {("lj-allow_refresh", "multipart without boundary"): OLDER_DJANGO}
FAULTY = [
    (run, row)
    for run in RUNS
    for row in endpoint_rows(run, "refresh", "verify", "blacklist", "login")
    if row["case"] in BODY_CASES
]
GOOD = {"ok json", "ok urlencoded", "ok multipart", "ok json charset", "ok extra fields ignored"}
ACCEPTED = [
    (run, row)
    for run in RUNS
    for row in endpoint_rows(run, "refresh", "login")
    if row["case"] in GOOD | {"ok with surrounding whitespace"}
]


def read(content_type: bytes | None, body: bytes | str) -> Fields:
    return read_fields(content_type, body.encode() if isinstance(body, str) else body, issuer="i")


def read_row(row: Row) -> Fields:
    headers = {name.lower(): value.encode() for name, value in row["request"]["headers"]}
    body = row["request"]["body"].encode()
    if row["case"] == "invalid utf-8":
        body = body.replace("\ufffd".encode(), b"\xff")  # JSON could not record these bytes
    return read_fields(headers.get("content-type"), body, issuer="one")


def names_of(run: Run, row: Row) -> list[str]:
    wire, endpoint = run.wire, endpoint_of(row)
    if endpoint == "obtain":
        return ["username", "password"]
    name = {"refresh": wire.refresh_field, "verify": wire.verify_field}
    return [name.get(endpoint, wire.blacklist_field)]


def refused(run: Run, row: Row) -> FieldInvalid | BodyInvalid:
    try:
        fields = read_row(row)
        for name in names_of(run, row):
            fields.text(name)
    except (FieldInvalid, BodyInvalid) as error:
        return error
    raise AssertionError("the body was read")


def said_of(content_type: bytes | None, body: bytes | str, name: str = "token") -> str:
    """What is said of a field, or of the body."""
    with pytest.raises((FieldInvalid, BodyInvalid)) as caught:
        read(content_type, body).text(name)
    error: GatewayError = caught.value
    assert error.issuer == "i"  # type: ignore[attr-defined]
    return str(error.wording)  # type: ignore[attr-defined]


def ids(table: list[tuple[Run, Row]]) -> list[str]:
    return [f"{run.name}: {endpoint_of(row)} {row['case']}" for run, row in table]


@pytest.mark.parametrize(("run", "row"), FAULTY, ids=ids(FAULTY))
def test_a_faulty_body_is_refused_as_recorded(run: Run, row: Row) -> None:
    answer = run.profile.render(refused(run, row), accept=None, query=b"").with_headers(ALLOW)
    found = differences(answer, row)
    if (run.name, row["case"]) in KNOWN_DIFFERENCES:
        assert found, "this difference is gone: take it off the table"
    else:
        assert not found


@pytest.mark.parametrize(("run", "row"), ACCEPTED, ids=ids(ACCEPTED))
def test_a_good_body_is_read_as_recorded(run: Run, row: Row) -> None:
    fields = read_row(row)
    texts = [fields.text(name) for name in names_of(run, row)]
    assert texts == (["alice", "pw-alice"] if endpoint_of(row) == "obtain" else ["<JWT>"])


TEXTS = {
    "a number": (JSON, '{"token": 5}', "5"),
    "a fraction": (JSON, '{"token": 1.50}', "1.5"),
    "spaces around": (JSON, '{"token": "\\u2003a \\n"}', "a"),
    "twice in JSON": (JSON, '{"token": "a", "token": "b"}', "b"),
    "a character cut off behind it": (JSON, b'{"token": "a"}\xc3', "a"),
    "UTF-8 that is named": (b'application/json; charset="UTF-8"', '{"token": "é"}', "é"),
    "Latin-1": (b"application/json; charset=iso-8859-1", b'{"token": "\xe9"}', "é"),
    "UTF-16": (b"application/json; charset=utf-16", '{"token": "é"}'.encode("utf-16"), "é"),
    "upper case": (b"Application/JSON", '{"token": "a"}', "a"),
    "any type": (b"*/*", '{"token": "a"}', "a"),
    "any type of application": (b"application/*", '{"token": "a"}', "a"),
    "a form": (FORM, "a=1&token=b+c%C3%A9", "b cé"),
    "twice in a form": (FORM, "token=a&token=b", "b"),
    "a form in Latin-1": (FORM + b"; charset=latin-1", b"token=%E9", "é"),
    "a form with broken UTF-8": (FORM, b"token=\xe9", "é"),
    "a form with a broken escape": (FORM, "token=%zz", "%zz"),
}


@pytest.mark.parametrize(("content_type", "body", "text"), TEXTS.values(), ids=TEXTS)
def test_a_field_is_read_from(content_type: bytes, body: bytes | str, text: str) -> None:
    assert read(content_type, body).text("token") == text


WORDINGS = {
    "spaces alone": (JSON, '{"token": " \\t"}', "This field may not be blank."),
    "an object": (JSON, '{"token": {}}', "Not a valid string."),
    "a NUL": (JSON, '{"token": "a\\u0000"}', "Null characters are not allowed."),
    "a NUL in a form": (FORM, "token=a%00", "Null characters are not allowed."),
    "a surrogate": (
        JSON,
        '{"token": "a\\udcff"}',
        "Surrogate characters are not allowed: U+DCFF.",
    ),
    "another name": (FORM, "tokens=a", "This field is required."),
    "an empty value in a form": (FORM, "token=", "This field may not be blank."),
    "a number as body": (JSON, "1.5", "Invalid data. Expected a dictionary, but got float."),
    "true as body": (JSON, "true", "Invalid data. Expected a dictionary, but got bool."),
    "spaces as body": (
        JSON,
        "  ",
        "JSON parse error - Expecting value: line 1 column 3 (char 2)",
    ),
    "infinity": (
        JSON,
        '{"token": -Infinity}',
        "JSON parse error - Out of range float values are not JSON compliant: '-Infinity'",
    ),
    "a byte order mark": (
        JSON,
        b'\xef\xbb\xbf{"token": "a"}',
        "JSON parse error - Unexpected UTF-8 BOM (decode using utf-8-sig): "
        "line 1 column 1 (char 0)",
    ),
    "lists in lists": (JSON, "[" * 100_000, "JSON parse error - Nested too deeply"),
    "objects in objects": (JSON, '{"token":' * 100_000, "JSON parse error - Nested too deeply"),
    "too many fields": (FORM, "&".join(["a=1"] * 1001), "The request has too many fields."),
    "no type": (None, "token=a", 'Unsupported media type "text/plain" in request.'),
    "an empty type": (b"", "token=a", 'Unsupported media type "text/plain" in request.'),
    "a type with parameters": (
        b"text/plain; charset=\xe9",
        "token=a",
        'Unsupported media type "text/plain; charset=é" in request.',
    ),
    "a type much like JSON": (
        b"application/jsonp",
        "{}",
        'Unsupported media type "application/jsonp" in request.',
    ),
    "a boundary that ends in a space": (
        b'multipart/form-data; boundary="a "',
        "x",
        "Multipart form parse error - Invalid boundary in multipart: a ",
    ),
    "a boundary that is too long": (
        b"multipart/form-data; boundary=" + b"a" * 202,
        "x",
        "Multipart form parse error - Invalid boundary in multipart: " + "a" * 202,
    ),
}


@pytest.mark.parametrize(("content_type", "body", "wording"), WORDINGS.values(), ids=WORDINGS)
def test_what_is_said_of(content_type: bytes | None, body: bytes | str, wording: str) -> None:
    assert said_of(content_type, body) == wording


def test_a_number_of_many_digits_is_no_fault_of_the_gateway() -> None:
    assert said_of(JSON, '{"token": ' + "9" * 5000 + "}").startswith("JSON parse error - Exceeds")


def test_an_unknown_type_has_a_status_of_its_own() -> None:
    with pytest.raises(BodyInvalid) as caught:
        read(b"text/plain", "x")
    assert caught.value.status == 415


@pytest.mark.parametrize("content_type", [None, JSON, FORM, MULTIPART, b"text/plain"])
def test_an_empty_body_has_no_fields_whatever_its_type(content_type: bytes | None) -> None:
    assert said_of(content_type, b"") == "This field is required."


def part(disposition: str, value: str = "a") -> str:
    return f"--BND\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n"


END = "--BND--\r\n"
PARTS = {
    "one part": (part('name="token"') + END, "a"),
    "a name without quotes": (part("name=token") + END, "a"),
    "the last of two parts": (part('name="token"', "a") + part('name="token"', "b") + END, "b"),
    "a part among others": (
        part('name="x"') + part('name="token"', "é") + part('name="y"') + END,
        "é",
    ),
    "a file name that is empty": (part('name="token"; filename=""') + END, "a"),
    "headers in lower case": (part('name="token"').lower().replace("bnd", "BND") + END, "a"),
    "a part with more headers": (
        part('name="token"\r\nContent-Type: text/plain') + END,
        "a",
    ),
}


@pytest.mark.parametrize(("body", "text"), PARTS.values(), ids=PARTS)
def test_a_multipart_field_is_read_from(body: str, text: str) -> None:
    assert read(MULTIPART, body).text("token") == text


REFUSED_PARTS = {
    "a file": (part('name="token"; filename="t"') + END, "Not a valid string."),
    "a file before a text": (
        part('name="token"; filename="t"') + part('name="token"') + END,
        "Not a valid string.",
    ),
    "a part without a name": (part("x=y") + END, "This field is required."),
    "too many parts": (part('name="x"') * 1001 + END, "The request has too many fields."),
}


@pytest.mark.parametrize(("body", "wording"), REFUSED_PARTS.values(), ids=REFUSED_PARTS)
def test_a_multipart_field_is_not_taken_from(body: str, wording: str) -> None:
    assert said_of(MULTIPART, body) == wording


# What Django might read, and read otherwise: an upstream must not get to see it.
DOUBTFUL = {
    "a charset that is a compression": (b"application/json; charset=bz2", '{"token": "a"}'),
    "a charset of seven bits": (FORM + b"; charset=utf-7", "token=a"),
    "a charset nobody knows": (b"application/json; charset=x", '{"token": "a"}'),
    "a part with an encoding": (
        MULTIPART,
        part('name="token"\r\nContent-Transfer-Encoding: base64') + END,
    ),
    "a name in the extended form": (MULTIPART, part("name*=utf-8''token") + END),
    "a part without a disposition": (MULTIPART, "--BND\r\nX-A: token\r\n\r\na\r\n" + END),
    "another boundary": (MULTIPART, part('name="token"').replace("BND", "DNB")),
    "something before the first part": (MULTIPART, "x\r\n" + part('name="token"') + END),
    "no end": (MULTIPART, part('name="token"')),
    "rubbish behind a part": (MULTIPART, part('name="token"') + "--BND\r\n: rubbish\r\n\r\n" + END),
    "no parts at all": (MULTIPART, "token=a"),
}


@pytest.mark.parametrize(("content_type", "body"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_can_be_read_in_two_ways_is_refused(
    content_type: bytes, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BodyInvalid) as refused:
        read(content_type, body)
    assert refused.value.is_doubtful
    assert not caplog.records


GIVEN = {
    "a text": ("a", "a"),
    "a number": (5, "5"),
    "blank": ("  ", None),
    "null": (None, None),
    "true": (True, None),
    "a list": (["a"], None),
    "a NUL": ("\0", None),
}


@pytest.mark.parametrize(("value", "text"), GIVEN.values(), ids=GIVEN)
def test_a_field_that_may_be_missing_is_given_only_where_it_is_good(
    value: object, text: str | None
) -> None:
    assert read(JSON, json.dumps({"token": value})).given("token") == text
    assert read(JSON, json.dumps({"other": value})).given("token") is None


def test_values_are_not_shown_in_a_repr() -> None:
    assert "secret" not in repr(read(FORM, "token=" + quote("secret")))
