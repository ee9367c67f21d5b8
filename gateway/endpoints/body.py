"""What a token endpoint finds in a body: as REST framework's `request.data` and its CharField.

Rules
- Every body is read, or refused with 400 or 415 in the framework's own sentence.
- Of several values in a form the last counts; an uploaded file comes before all of them.
- What Django might read in another way than this module is refused: no password is guessed under
  a name that is counted as another one's.
- Codecs are never looked up by a client's word: Python keeps all names, and some are no charsets.
"""

import codecs
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import BodyInvalid, FieldInvalid

_MAX_FIELDS = 1000  # as Django's DATA_UPLOAD_MAX_NUMBER_FIELDS
_BOUNDARY = re.compile(r"[ -~]{0,200}[!-~]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON, _FORM, _MULTIPART = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
)
_CHARSETS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
}
_ABSENT: Final = object()
_FILE: Final = object()
# The parser warns of what is wrong in a body: a client must not be able to fill the log.
_QUIET: Final = logging.Logger("multipart", logging.ERROR)


class _Unreadable(Exception):
    """Says why, in the framework's sentence."""

    def __init__(self, wording: str, *, is_doubtful: bool = False) -> None:
        super().__init__(wording)
        self.is_doubtful = is_doubtful


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one body; values may be secrets."""

    values: Mapping[str, Any] = field(repr=False)
    issuer: str

    def text(self, name: str) -> str:
        """The field as serializers.CharField gives it; raises FieldInvalid."""
        value = self.values.get(name, _ABSENT)
        if value is _ABSENT:
            raise self._invalid(name, "This field is required.")
        if value is None:
            raise self._invalid(name, "This field may not be null.")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._invalid(name, "Not a valid string.")
        text = str(value).strip()
        if not text:
            raise self._invalid(name, "This field may not be blank.")
        if "\0" in text:
            raise self._invalid(name, "Null characters are not allowed.")
        if found := _SURROGATE.search(text):
            point = f"{ord(found[0]):X}"
            raise self._invalid(name, f"Surrogate characters are not allowed: U+{point}.")
        return text

    def given(self, name: str) -> str | None:
        """The field's text, None where it is missing or `text` would refuse it."""
        try:
            return self.text(name)
        except FieldInvalid:
            return None

    def _invalid(self, name: str, wording: str) -> FieldInvalid:
        return FieldInvalid(name, wording, issuer=self.issuer)


def read_fields(content_type: bytes | None, body: bytes, *, issuer: str) -> Fields:
    """The fields of a body; without one there are none, whatever its type.

    Raises BodyInvalid, and FieldInvalid where the JSON is no object.
    """
    if not body:
        return Fields({}, issuer)
    declared = (content_type or b"text/plain").decode("latin-1")
    full, options = parse_options_header(declared)
    charset = options.get(b"charset", b"").decode("latin-1").lower()
    encoding = _CHARSETS.get(charset)
    media_type = full.decode("latin-1").strip()
    wording = f'Unsupported media type "{declared}" in request.'
    if encoding is None:
        raise BodyInvalid(wording, issuer=issuer, status=415, is_doubtful=True)
    try:
        if _takes(_JSON, media_type):
            return Fields(_object(_json(body, encoding), issuer), issuer)
        if _takes(_FORM, media_type):
            return Fields(_form(body, encoding), issuer)
        if _takes(_MULTIPART, media_type):
            boundary = options.get(b"boundary")
            return Fields(_multipart(body, boundary, encoding), issuer)
    except _Unreadable as error:
        raise BodyInvalid(str(error), issuer=issuer, is_doubtful=error.is_doubtful) from error
    raise BodyInvalid(wording, issuer=issuer, status=415)


def _takes(offered: str, media_type: str) -> bool:
    """Whether this parser is the one; the request may name a range (`*/*` is JSON)."""
    main, _, sub = media_type.partition("/")
    offered_main, _, offered_sub = offered.partition("/")
    return main in ("*", offered_main) and sub in ("*", offered_sub)


def _object(data: object, issuer: str) -> Mapping[str, Any]:
    if isinstance(data, dict):
        return data
    if data is None:
        raise FieldInvalid("", "No data provided", issuer=issuer)
    wording = f"Invalid data. Expected a dictionary, but got {type(data).__name__}."
    raise FieldInvalid("", wording, issuer=issuer)


def _json(body: bytes, encoding: str) -> object:
    try:
        # The reader, and not bytes.decode: it overlooks a character cut off at the end.
        text = codecs.getreader(encoding)(BytesIO(body)).read()
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise _Unreadable("JSON parse error - Nested too deeply") from error
    except ValueError as error:
        raise _Unreadable(f"JSON parse error - {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")


def _form(body: bytes, encoding: str) -> Mapping[str, Any]:
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    try:
        return dict(
            parse_qsl(text, keep_blank_values=True, encoding=encoding, max_num_fields=_MAX_FIELDS)
        )
    except ValueError as error:
        raise _too_many() from error


def _multipart(body: bytes, boundary: bytes | None, encoding: str) -> Mapping[str, Any]:
    text = None if boundary is None else boundary.decode("latin-1")
    if text is None or _BOUNDARY.fullmatch(text) is None:
        raise _Unreadable(f"Multipart form parse error - Invalid boundary in multipart: {text}")
    delimiter = b"--" + text.encode("latin-1")
    if not body.startswith(delimiter) or not body.rstrip(b"\r\n").endswith(delimiter + b"--"):
        raise _doubtful()
    parts = _Parts(encoding)
    try:
        parts.parser(text).write(body)
    except FormParserError as error:
        raise _doubtful() from error
    return parts.found


class _Parts:
    """Collects the parts that python-multipart tells of."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._texts: dict[str, Any] = {}
        self._files: dict[str, Any] = {}
        self._count = 0
        self._field = bytearray()
        self._value = bytearray()
        self._data = bytearray()
        self._options: Mapping[bytes, bytes] = {}

    @property
    def found(self) -> Mapping[str, Any]:
        return {**self._texts, **self._files}

    def parser(self, boundary: str) -> MultipartParser:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
                "on_part_end": self._end,
            },
        )
        parser.logger = _QUIET
        return parser

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MAX_FIELDS:
            raise _too_many()
        self._options = {}
        self._data.clear()

    def _header(self) -> None:
        name = self._field.lower()
        if name == b"content-disposition" and b"name*" not in self._value.lower():
            _, self._options = parse_options_header(self._value.decode("latin-1"))
        elif name != b"content-type":  # an encoding of the part, or of its name
            raise _doubtful()
        self._field.clear()
        self._value.clear()

    def _end(self) -> None:
        if b"name" not in self._options:
            return
        name = self._options[b"name"].decode(self._encoding, "replace").strip()
        if self._options.get(b"filename"):
            self._files[name] = _FILE
        else:
            self._texts[name] = self._data.decode(self._encoding, "replace")


def _doubtful() -> _Unreadable:
    return _Unreadable("Multipart form parse error - Invalid part", is_doubtful=True)


def _too_many() -> _Unreadable:
    return _Unreadable("The request has too many fields.")
