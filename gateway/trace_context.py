"""W3C Trace Context: reading a request's `traceparent`, and which trace it belongs to here.

Rules (W3C Trace Context, level 1)
- §3.2: what is no valid traceparent is as if it were absent, and its tracestate with it.
- §4.3 and §7.1: a trusted proxy's trace goes on, its sampling decision with it; at the public edge
  a trace begins anew, since nobody outside may choose ids here, or what is recorded.
- While the gateway takes no part in tracing, the fields are the client's and pass untouched.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

TRACE_FIELDS: Final = (b"traceparent", b"tracestate")

_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 0x01
_TRACESTATE = re.compile(rb"[\t -~]{1,4096}")
_HALF = 1 << 64


class Parent(NamedTuple):
    """What a valid traceparent says."""

    trace_id: str
    span_id: str
    is_sampled: bool


class TraceContext(NamedTuple):
    """The trace of one request; `lines` tell the upstream, empty where the client's own pass.

    `parent` is the span that it goes on from, `left` the one of a trace that ended at this edge.
    """

    trace_id: str
    lines: bytes = b""
    span_id: str = ""
    is_sampled: bool = False
    state: str = ""
    parent: Parent | None = None
    left: Parent | None = None


def read_traceparent(value: bytes | None) -> Parent | None:
    """The parent, None where there is none; of later versions what this one knows."""
    if value is None:
        return None
    found = _TRACEPARENT.fullmatch(value)
    if found is None or (found[1] == b"00" and found[5] is not None):
        return None
    return Parent(found[2].decode(), found[3].decode(), bool(int(found[4], 16) & _SAMPLED))


def followed(value: bytes) -> TraceContext | None:
    """The client's trace where the gateway takes no part in it."""
    parent = read_traceparent(value)
    return TraceContext(parent.trace_id) if parent is not None else None


class TraceStarter:
    """Gives each request its place in a trace; of new ones the share `ratio` is sampled."""

    def __init__(self, *, ratio: float, randbytes: Callable[[int], bytes]) -> None:
        self._bound = round(ratio * _HALF)
        self._randbytes = randbytes

    def begin(
        self, traceparent: bytes | None, tracestate: bytes | None, *, is_peer_trusted: bool
    ) -> TraceContext:
        said = read_traceparent(traceparent)
        ids = self._randbytes(24)
        span_id = ids[:8].hex()
        parent = said if is_peer_trusted else None
        state = b""
        if parent is not None:
            trace_id, is_sampled = parent.trace_id, parent.is_sampled
            if tracestate is not None and _TRACESTATE.fullmatch(tracestate):
                state = tracestate
        else:
            trace_id = ids[8:].hex()
            is_sampled = int.from_bytes(ids[16:]) < self._bound
        return TraceContext(
            trace_id,
            b"traceparent: 00-%b-%b-0%d\r\n%b"
            % (
                trace_id.encode(),
                span_id.encode(),
                is_sampled,
                b"tracestate: %b\r\n" % state if state else b"",
            ),
            span_id,
            is_sampled,
            state.decode(),
            parent,
            None if is_peer_trusted else said,
        )
