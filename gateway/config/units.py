"""How the file writes quantities and names: durations, sizes, rates, networks, header names.

Each type is an `Annotated` whose validator says what is right by example; none repeats its input.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)?", re.ASCII)
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/(s|m|h|d)", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
)
_ORIGIN = re.compile(r"(https?)://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # which no browser writes
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


def _duration(value: Any) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration with its unit, such as 250ms, 5s, 5m, 12h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0s")
    return value


def _size(value: Any) -> int:
    found = _SIZE.fullmatch(str(value)) if _is_text_or_int(value) else None
    if found is None:
        raise ValueError("must be a size, such as 512, 64KiB, 10MiB or 1GiB")
    return int(found[1]) * _BYTES[found[2] or ""]


def _rate(value: Any) -> float:
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not float(found[1]):
        raise ValueError("must be a rate, such as 100/s, 30/m or 1000/h")
    return float(found[1]) / _SECONDS[found[2]]


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def _network(value: Any) -> IPv4Network | IPv6Network:
    try:
        if not isinstance(value, str):
            raise ValueError
        return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("has bits set behind the prefix; 10.0.0.0/8 is right") from None
        raise ValueError("must be a network, such as 10.0.0.0/8, ::1 or 192.0.2.7") from None


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if _UNPRINTABLE.search(value):
        raise ValueError("must not contain control characters")
    return value


def _fits(pattern: re.Pattern[str], otherwise: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(otherwise)
        return value

    return check


def _http_url(value: str) -> str:
    parts = url_parts(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or password")
    if parts.fragment or re.search(r"\s", value):
        raise ValueError("must be a URL without spaces and fragment")
    return value


def _host(value: str) -> str:
    host = value.lower()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ValueError(
            "must be a host name without port, such as api.example.org or *.example.org"
        )
    return host


def _origin(value: str) -> str:
    if value in ("*", "null"):
        return value
    try:
        return _named_origin(value)
    except ValueError as error:
        raise ValueError(f"{error}, or *") from None


def _named_origin(value: str) -> str:
    """As browsers write it: in lower case, without the scheme's own port (RFC 6454 §6.2)."""
    origin = value.lower()
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise ValueError("must be an origin such as https://app.example.org")
    return origin.removesuffix(_DEFAULT_PORTS[found[1]])


def _is_text_or_int(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def url_parts(value: str) -> SplitResult:
    """The URL taken apart; raises ValueError with a sentence where it can't be."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a valid URL") from None
    return parts


def header_name(value: str) -> str:
    """The value, where it can be the name of a header field that Django will see."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not a valid header name")
    if "_" in value:
        raise ValueError("WSGI servers drop header names with underscores; write dashes")
    return value


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"}),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$"}),
]
Rate = Annotated[
    float,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?/(s|m|h|d)$"}),
]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
ListenPort = Annotated[Whole, Field(ge=0, le=65535)]
Network = Annotated[
    IPv4Network | IPv6Network,
    BeforeValidator(_network),
    WithJsonSchema({"type": "string"}),
]
Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_fits(_NAME, "a name has letters, digits, - and _ alone"))]
HeaderName = Annotated[str, AfterValidator(header_name)]
AuthScheme = Annotated[
    str, AfterValidator(_fits(_TOKEN, "must be one word, such as Bearer or JWT"))
]
Word = Annotated[str, AfterValidator(_fits(_TOKEN, "must be one word, such as access_token"))]
Method = Annotated[
    str,
    AfterValidator(_fits(re.compile("[A-Z][A-Z-]*"), "write methods in upper case, such as GET")),
]
UrlPath = Annotated[
    str,
    AfterValidator(
        _fits(re.compile(r"/(?!/)[^\s?#\x00-\x1f\x7f]*"), "must be a path that starts with one /")
    ),
]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Host = Annotated[str, AfterValidator(_host)]
Origin = Annotated[str, AfterValidator(_origin)]
NamedOrigin = Annotated[str, AfterValidator(_named_origin)]
