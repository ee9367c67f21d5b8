"""The sections about the gateway itself: its two listeners, its store, its logs."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator

from gateway.config.secret import Secret, SecretText
from gateway.config.section import Section, key
from gateway.config.units import (
    Count,
    Duration,
    Host,
    HttpUrl,
    ListenPort,
    Network,
    PositiveDuration,
    Share,
    Size,
    Text,
)
from gateway.config.unix_sockets import PREFIX, SocketMode, socket_url

_STORE_URL = re.compile(
    r"memory://|(redis|rediss|unix|redis\+sentinel|redis\+cluster)://[^\s]+", re.ASCII
)
_KEY_PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def _store_url(value: str) -> str:
    if not _STORE_URL.fullmatch(value):
        raise ValueError(
            "must be memory://, or the place of a Redis behind redis:// rediss:// unix:// "
            "redis+sentinel:// or redis+cluster://, such as redis://localhost:6379/0"
        )
    return value


def _bearer_token(value: Secret) -> Secret:
    if not re.fullmatch(r"[!-~]+", value.reveal()):
        raise ValueError("must be visible ASCII characters without spaces: a header carries it")
    return value


def _key_prefix(value: str) -> str:
    # Braces above all: in them a cluster looks for what places a key.
    if not _KEY_PREFIX.fullmatch(value):
        raise ValueError("must be 1 to 64 letters, digits and . _ : - alone")
    return value


def _staleness(value: float) -> float:
    # The tail confirms an idle store every half second, and may take a timeout more to notice
    # that a connection is gone: a view that is well is sometimes a second old.
    if value < 2:
        raise ValueError("must be 2s or longer")
    return value


class ServerConfig(Section):
    """The public listener and the limits it keeps."""

    host: Text = key(
        "127.0.0.1",
        description="Address to listen on; 0.0.0.0 for all; unix:/path for a socket, whose peers "
        "are trusted proxies.",
    )
    port: ListenPort = key(
        8080, description="Port to listen on; 0 takes any free one; a unix socket has none."
    )
    socket_mode: SocketMode = key(
        "0660", description="Mode of the unix socket: who may write to it may connect."
    )
    workers: Count = key(
        1, description="Processes that serve; with sessions, more than one needs Redis."
    )
    trusted_proxies: tuple[Network, ...] = key(
        (), description="Networks whose X-Forwarded-* are believed, read right to left."
    )
    graceful_shutdown: Duration = key(
        "30s", description="How long requests in flight may still take on a stop."
    )
    header_timeout: PositiveDuration = key(
        "10s", description="Time for a client to send the whole request head."
    )
    body_timeout: PositiveDuration = key(
        "30s", description="Longest pause between two reads of a request body."
    )
    keep_alive: Duration = key(
        "75s", description="How long an idle client connection is kept open."
    )
    max_header_size: Size = key("32KiB", description="Largest request head; 431 above.")
    max_header_count: Count = key(100, description="Most header fields; 431 above.")
    max_url_size: Size = key("8KiB", description="Longest request target; 414 above.")
    max_body_size: Size = key(
        "100MiB", description="Largest request body; 413 above; a route may override it."
    )
    max_connections: Count = key(
        10000,
        description="Most client connections of one worker; one more is answered 503 and closed.",
    )
    revocation_sweep: PositiveDuration = key(
        "500ms", description="How often open sockets and streams of ended sessions are looked for."
    )

    @field_validator("host")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        return socket_url(value, info) if value.startswith(PREFIX) else value

    @property
    def socket_path(self) -> Path | None:
        """Of the unix socket to listen on; None for TCP."""
        is_unix = self.host.startswith(PREFIX)
        return Path(self.host.removeprefix(PREFIX)) if is_unix else None


class StoreConfig(Section):
    """Where sessions and revocations are kept."""

    url: Annotated[str, SecretText(), AfterValidator(_store_url)] = key(
        "memory://",
        description="memory:// or a Redis: redis:// rediss:// unix:// redis+sentinel:// "
        "redis+cluster://; accepts {file: PATH}.",
        repr=False,
    )
    key_prefix: Annotated[str, AfterValidator(_key_prefix)] = key(
        "gw", description="What every key in the store begins with: letters, digits and . _ : -"
    )
    timeout: PositiveDuration = key("250ms", description="Longest wait for one store command.")
    max_staleness: Annotated[Duration, AfterValidator(_staleness)] = key(
        "5s",
        description="How old the local view of revocations may grow before on_outage; 2s or more.",
    )
    on_outage: Literal["deny", "allow"] = key(
        "deny", description="While the store is away: deny (503) or allow access tokens."
    )


class AdminConfig(Section):
    """The admin listener, never on the public port."""

    host: Text = key("127.0.0.1", description="Address of the admin listener.")
    port: ListenPort = key(9090, description="Port of the admin listener.")
    token: Annotated[Secret, AfterValidator(_bearer_token)] | None = key(
        None,
        description="Bearer token for everything but /livez /readyz /metrics; null: the admin API "
        "and the dashboard are off.",
    )
    allowed_hosts: tuple[Host, ...] | None = key(
        None,
        description="Names by which it may be asked beside localhost and addresses, also "
        "*.example.org; null: on loopback no other, elsewhere all.",
    )


class LoggingConfig(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = key(
        "info", description="Least severity that is logged."
    )
    format: Literal["json", "text"] = key("json", description="One JSON object a line, or text.")
    access_log: bool = key(True, description="One line for each request.")


class TracingConfig(Section):
    """Where traces go."""

    otlp_endpoint: HttpUrl | None = key(
        None,
        description="OTLP/HTTP collector to send spans to, such as http://collector:4318; needs "
        "the extra otel; null for none.",
    )
    sample_ratio: Share = key(
        1.0,
        description="Share of new traces that is sampled; a trusted proxy's decision goes before.",
    )
