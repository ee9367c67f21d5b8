"""The configuration: the only reader of YAML and of the environment."""

from gateway.config.document import Config
from gateway.config.endpoints import Served, served_endpoints, upstream_of
from gateway.config.faults import ConfigError, Fault, KeyPath
from gateway.config.issuer import (
    CookieConfig,
    EndpointsConfig,
    IssuerConfig,
    LoginGuardConfig,
    RevokeOnConfig,
)
from gateway.config.load import KeyFinding, KeyJudge, Loaded, find_file, load
from gateway.config.route import CorsConfig, RateLimitConfig, RouteConfig, covers_host
from gateway.config.schema import json_schema
from gateway.config.secret import Secret
from gateway.config.server import (
    AdminConfig,
    LoggingConfig,
    ServerConfig,
    StoreConfig,
    TracingConfig,
)
from gateway.config.source import Source
from gateway.config.upstream import (
    AdaptiveConcurrencyConfig,
    CircuitBreakerConfig,
    HealthCheckConfig,
    MintConfig,
    ServerAddress,
    TimeoutsConfig,
    UpstreamConfig,
)

__all__ = [
    "AdaptiveConcurrencyConfig",
    "AdminConfig",
    "CircuitBreakerConfig",
    "Config",
    "ConfigError",
    "CookieConfig",
    "CorsConfig",
    "EndpointsConfig",
    "Fault",
    "HealthCheckConfig",
    "IssuerConfig",
    "KeyFinding",
    "KeyJudge",
    "KeyPath",
    "Loaded",
    "LoggingConfig",
    "LoginGuardConfig",
    "MintConfig",
    "RateLimitConfig",
    "RevokeOnConfig",
    "RouteConfig",
    "Secret",
    "Served",
    "ServerAddress",
    "ServerConfig",
    "Source",
    "StoreConfig",
    "TimeoutsConfig",
    "TracingConfig",
    "UpstreamConfig",
    "covers_host",
    "find_file",
    "json_schema",
    "load",
    "served_endpoints",
    "upstream_of",
]
