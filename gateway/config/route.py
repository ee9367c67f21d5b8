"""A route: which requests, who may make them, and where they go."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from gateway.config.section import OrSwitch, Section, key
from gateway.config.units import (
    Count,
    Duration,
    HeaderName,
    Host,
    Method,
    Name,
    Origin,
    Rate,
    Size,
    Text,
    Word,
)


def _path(value: str) -> str:
    plain = value.removeprefix("=")
    if not plain.startswith("/"):
        raise ValueError("must start with / (a prefix) or =/ (exactly this path)")
    if re.search(r"[\x00-\x20\x7f\\?#]", plain):
        raise ValueError("must not contain spaces, control characters, \\, ? or #")
    if "%" in plain:
        raise ValueError("must be written decoded, without percent-encodings")
    if "//" in plain:
        raise ValueError("must not contain //")
    if any(segment in (".", "..") for segment in plain.split("/")):
        raise ValueError("must not contain . or .. as a segment")
    return value


def _routable(value: str) -> str:
    if value in ("CONNECT", "TRACE"):
        raise ValueError("CONNECT and TRACE are never forwarded")
    return value


def _claim(value: Any) -> Any:
    """A scalar, or a tuple of scalars."""
    items = value if isinstance(value, list | tuple) else (value,)
    if not items or not all(isinstance(item, str | int | float | bool) for item in items):
        raise ValueError("must be text, a number, true, false, or a list of those")
    return tuple(items) if isinstance(value, list | tuple) else value


def _name(data: dict[str, Any]) -> str:
    """`GET,POST api.example.org/users/`: what tells the route apart, short where it can be."""
    methods = ",".join(data.get("methods") or ())
    hosts = ",".join(data.get("hosts") or ())
    return f"{methods} {hosts}{data.get('path', '')}".strip()


class RateLimitConfig(Section):
    """How often one user or address may call."""

    rate: Rate = key(description="Sustained rate, such as 100/s or 30/m.")
    burst: Count | None = key(None, description="Most at once; null: one second's worth.")
    per: Literal["user", "ip"] = key("user", description="Who is counted.")


class CorsConfig(Section):
    """Which origins' pages may call."""

    origins: tuple[Origin, ...] = key(
        description='Origins, such as https://app.example.org; ["*"] for all.', min_length=1
    )
    headers: tuple[HeaderName, ...] = key(
        (
            "Accept",
            "Authorization",
            "Content-Type",
            "User-Agent",
            "X-CSRFToken",
            "X-Requested-With",
        ),
        description='Request headers that pages may set; ["*"] for all.',
    )
    methods: tuple[Method, ...] = key(
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
        description="Methods that pages may use.",
    )
    expose_headers: tuple[HeaderName, ...] = key(
        (),
        description="Answer headers that pages may read, beside X-Request-Id, Retry-After and "
        "WWW-Authenticate.",
    )
    credentials: bool = key(False, description="Whether cookies go along.")
    max_age: Duration = key("10m", description="How long browsers keep a preflight's answer.")


class WebSocketConfig(Section):
    """Where a WebSocket's token may stand beside the header, which pages can't set."""

    subprotocol: Word | None = key(
        None, description="Of new WebSocket(url, [NAME, token]); both are taken out."
    )
    query: Name | None = key(
        None, description="Query parameter with the token, which is taken out."
    )


class RouteConfig(Section):
    """The first route that matches a request decides it."""

    path: Annotated[str, AfterValidator(_path)] = key(
        description="Prefix that ends on a segment border, or =/path for exactly that path."
    )
    methods: tuple[Annotated[Method, AfterValidator(_routable)], ...] | None = key(
        None, description="Methods, in upper case; null: all.", min_length=1
    )
    hosts: tuple[Host, ...] | None = key(
        None, description="Host names, also *.example.org; null: all.", min_length=1
    )
    name: Text = key(
        default_factory=_name, description="Label in logs and metrics; default: from the path."
    )
    auth: Literal["required", "optional", "none"] = key(
        "required", description="Whether a token is asked for; a bad one is never let through."
    )
    issuers: tuple[Text, ...] = key(
        (), description="Whose tokens are good, one or several, tried by header type and iss."
    )
    require: Mapping[
        str,
        Annotated[
            Any,
            BeforeValidator(_claim),
            WithJsonSchema({"type": ["string", "number", "boolean", "array"]}),
        ],
    ] = key(
        default_factory=dict,
        description="Claims that the token must have: {scope: [read], is_admin: true}.",
    )
    upstream: Text = key(description="Upstream that answers.")
    rate_limit: RateLimitConfig | None = key(
        None, description="How often one user or address may call; null: as often as it likes."
    )
    max_body_size: Size | None = key(
        None, description="Largest request body; null: as server.max_body_size."
    )
    cors: CorsConfig | None = key(
        None, description="Which origins' pages may call; null: left to the upstream."
    )
    priority: Literal["normal", "high"] = key(
        "normal", description="high: served before anonymous requests, as signed-in users are."
    )
    websocket: Annotated[WebSocketConfig | None, OrSwitch()] = key(
        False, description="Whether WebSockets may be opened; where their token may stand."
    )


def covers_path(first: str, second: str) -> bool:
    """Whether each path that `second` matches is one that `first` matches."""
    if first.startswith("="):
        return first == second
    plain = second.removeprefix("=")
    return plain == first or plain.startswith(first if first.endswith("/") else f"{first}/")


def covers_host(first: str, second: str) -> bool:
    """Whether each host name that `second` matches is one that `first` matches."""
    return first == second or (first.startswith("*.") and second.endswith(first[1:]))
