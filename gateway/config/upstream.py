"""An upstream: the servers behind the gateway, and what they are told about the bearer."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.config.section import OrText, Section, key
from gateway.config.units import (
    Count,
    Duration,
    HeaderName,
    PositiveDuration,
    Text,
    UrlPath,
    Whole,
    url_parts,
)
from gateway.config.unix_sockets import PREFIX, socket_url

_PARTS_OF_TEMPLATE = re.compile(r"(?:[^{}\x00-\x1f\x7f-\U0010ffff]|\{[!-z|~]+\})+")


def _template(value: str) -> str:
    if not _PARTS_OF_TEMPLATE.fullmatch(value):
        raise ValueError('must be ASCII text with {claim} placeholders alone, such as "{user_id}"')
    return value


class ServerAddress(Section):
    """One server of an upstream: `http://host:port` or `unix:/path`."""

    url: str = key(description="http://host:port or unix:/path.")
    weight: Annotated[Whole, Field(ge=1, le=1000)] = key(1, description="Share of the load.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"url": data} if isinstance(data, str) else data

    @field_validator("url")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        if value.startswith(PREFIX):
            return socket_url(value, info)
        parts = url_parts(value)
        if parts.scheme == "https":
            raise ValueError("https upstreams are not supported yet")
        if parts.scheme != "http" or not parts.hostname or re.search(r"[\s\x00-\x1f]", value):
            raise ValueError("must be http://host:port or unix:/path")
        if parts.port == 0:
            raise ValueError("the port must be from 1 to 65535")
        if "@" in parts.netloc:
            raise ValueError("must not contain a user or password")
        if parts.path not in ("", "/") or "?" in value or "#" in value:
            raise ValueError("must end behind the port: requests keep the path they came with")
        return value

    @property
    def kind(self) -> Literal["tcp", "unix"]:
        return "unix" if self.url.startswith(PREFIX) else "tcp"

    @property
    def host(self) -> str:
        """Name or address, IPv6 without brackets; empty for a unix socket."""
        return "" if self.kind == "unix" else url_parts(self.url).hostname or ""

    @property
    def port(self) -> int:
        """0 for a unix socket."""
        return 0 if self.kind == "unix" else url_parts(self.url).port or 80

    @property
    def path(self) -> str | None:
        """Of the unix socket; None for TCP."""
        return self.url.removeprefix(PREFIX) if self.kind == "unix" else None


class TimeoutsConfig(Section):
    """How long an upstream may take."""

    connect: PositiveDuration = key("2s", description="To accept a connection.")
    queue: PositiveDuration = key(
        "2s", description="Longest wait for a connection while all are busy; then 503."
    )
    first_byte: PositiveDuration | None = key(
        None, description="For the answer to begin; null: as read."
    )
    read: PositiveDuration = key("60s", description="Longest pause in an answer.")
    total: PositiveDuration | None = key(
        None, description="Request and answer altogether; event streams and sockets are exempt."
    )
    idle: PositiveDuration = key("1s", description="Life of an idle kept connection.")


class HealthCheckConfig(Section):
    """Requests of the gateway's own that find out whether a server is well."""

    path: UrlPath = key(description="Path that answers 2xx when the server is well.")
    host: Text | None = key(
        None, description="Host that is asked for, which Django must allow; null: the server's."
    )
    interval: PositiveDuration = key("5s", description="Between two checks.")
    timeout: PositiveDuration = key("1s", description="Longest wait for an answer.")
    healthy: Count = key(2, description="Successes in a row that bring a server back.")
    unhealthy: Count = key(3, description="Failures in a row that take a server out.")


class CircuitBreakerConfig(Section):
    """When a failing server is left alone for a while."""

    failures: Count = key(5, description="Failures within the window that open it.")
    window: PositiveDuration = key("10s", description="The window.")
    open_for: PositiveDuration = key("5s", description="How long it stays open.")


class AdaptiveConcurrencyConfig(Section):
    """How many requests at once are found out to be best, per worker."""

    initial: Count = key(20, description="Limit at the start.")
    min: Count = key(4, description="Smallest limit.")
    max: Count = key(1000, description="Largest limit.")
    interval: PositiveDuration = key("100ms", description="Between two steps.")

    @model_validator(mode="after")
    def _ordered(self) -> "AdaptiveConcurrencyConfig":
        if not self.min <= self.initial <= self.max:
            raise ValueError("min must not be above initial, nor initial above max")
        return self


class MintConfig(Section):
    """A fresh token in the form that the upstream expects."""

    issuer: Text = key(description="Issuer whose form and signing key the token has.")
    lifetime: PositiveDuration = key("30s", description="Life of the token.")


class UpstreamConfig(Section):
    """Servers that answer alike."""

    servers: tuple[Annotated[ServerAddress, OrText()], ...] = key(
        description="http://host:port or unix:/path, each also as {url: …, weight: 2}.",
        min_length=1,
    )
    load_balancing: Literal["least_connections", "round_robin", "random_two"] = key(
        "least_connections", description="Which server gets the next request."
    )
    timeouts: TimeoutsConfig = key(
        default_factory=TimeoutsConfig, description="How long a server may take."
    )
    max_connections: Count = key(256, description="Most connections per server and worker.")
    max_pending_requests: Annotated[Whole, Field(ge=0)] = key(
        1024, description="Most requests that wait for a connection, per worker; then 503."
    )
    retries: Annotated[Whole, Field(ge=0, le=10)] = key(
        1, description="Further tries, only where it is safe."
    )
    slow_start: Duration = key(
        "10s", description="How long a server that comes back has less than its share."
    )
    resolve_interval: PositiveDuration = key(
        "10s", description="How often the names of servers are looked up."
    )
    adaptive_concurrency: AdaptiveConcurrencyConfig | None = key(
        None, description="A limit that follows how long answers take; null: none."
    )
    health_check: HealthCheckConfig | None = key(None, description="Active checks; null: none.")
    circuit_breaker: CircuitBreakerConfig | None = key(
        None, description="When a failing server is left alone for a while; null: never."
    )
    identity: Literal["passthrough", "headers", "mint", "drf_token", "none"] = key(
        "passthrough",
        description="How the upstream learns who the bearer is; drf_token is not supported yet.",
    )
    identity_headers: Mapping[HeaderName, Annotated[str, AfterValidator(_template)]] = key(
        default_factory=dict,
        description='For headers: {X-User-Id: "{user_id}"}, claims in braces.',
    )
    mint: MintConfig | None = key(None, description="For mint: {issuer: NAME, lifetime: 30s}.")
    preserve_host: bool = key(True, description="The upstream sees the client's Host.")
