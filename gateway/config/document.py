"""The whole configuration as one frozen value."""

from collections.abc import Mapping

from gateway.config.issuer import IssuerConfig
from gateway.config.route import RouteConfig
from gateway.config.section import Section, key
from gateway.config.server import (
    AdminConfig,
    LoggingConfig,
    ServerConfig,
    StoreConfig,
    TracingConfig,
)
from gateway.config.units import Name
from gateway.config.upstream import UpstreamConfig


class Config(Section):
    """Everything that one file says."""

    server: ServerConfig = key(
        default_factory=ServerConfig, description="The public listener and its limits."
    )
    store: StoreConfig = key(
        default_factory=StoreConfig, description="The store of sessions and revocations."
    )
    issuers: Mapping[Name, IssuerConfig] = key(
        default_factory=dict, description="Who signs tokens, by a name of your choice."
    )
    upstreams: Mapping[Name, UpstreamConfig] = key(
        description="The servers behind, by a name of your choice.", min_length=1
    )
    routes: tuple[RouteConfig, ...] = key(
        description="Tried in this order; the first that matches wins.", min_length=1
    )
    admin: AdminConfig = key(default_factory=AdminConfig, description="The admin listener.")
    logging: LoggingConfig = key(default_factory=LoggingConfig, description="Logs.")
    tracing: TracingConfig = key(default_factory=TracingConfig, description="Traces.")
