"""Builds what takes part in traces, where spans have a place to go; else nothing is imported."""

import os
import time
from typing import TYPE_CHECKING

from gateway.config.server import TracingConfig
from gateway.trace_context import TraceStarter

if TYPE_CHECKING:
    from gateway.telemetry.tracing import Spans


def trace_starter(config: TracingConfig) -> TraceStarter | None:
    if config.otlp_endpoint is None:
        return None
    return TraceStarter(ratio=config.sample_ratio, randbytes=os.urandom)


def spans(config: TracingConfig) -> "Spans | None":
    if config.otlp_endpoint is None:
        return None
    from gateway.telemetry.tracing import Spans  # of an extra, and large

    return Spans(config.otlp_endpoint, wall=time.time)
