"""Which trace a request belongs to, by W3C Trace Context."""

import pytest

from gateway.trace_context import Parent, TraceStarter, read_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01".encode()
UNSAMPLED = f"00-{TRACE}-{SPAN}-00".encode()
IDS = bytes(range(1, 25))


def starter(ratio: float = 1.0) -> TraceStarter:
    return TraceStarter(ratio=ratio, randbytes=lambda size: IDS[:size])


@pytest.mark.parametrize(
    ("value", "parent"),
    [
        (SAMPLED, Parent(TRACE, SPAN, True)),
        (UNSAMPLED, Parent(TRACE, SPAN, False)),
        (SAMPLED[:-2] + b"03", Parent(TRACE, SPAN, True)),
        (b"01" + SAMPLED[2:] + b"-later", Parent(TRACE, SPAN, True)),
        (None, None),
        (b"", None),
        (SAMPLED + b"-more", None),
        (b"ff" + SAMPLED[2:], None),
        (SAMPLED.upper(), None),
        (SAMPLED + b"," + SAMPLED, None),
        (b"00-" + b"0" * 32 + b"-" + SPAN.encode() + b"-01", None),
        (b"00-" + TRACE.encode() + b"-" + b"0" * 16 + b"-01", None),
        (SAMPLED + b"\n", None),
        (SAMPLED[:-1], None),
    ],
)
def test_a_traceparent_is_read_or_is_none(value: bytes | None, parent: Parent | None) -> None:
    assert read_traceparent(value) == parent


@pytest.mark.parametrize("said", [SAMPLED, UNSAMPLED])
def test_a_trusted_proxys_trace_goes_on_by_its_decision(said: bytes) -> None:
    trace = starter(0.5).begin(said, b"vendor=1", is_peer_trusted=True)
    assert trace.trace_id == TRACE
    assert trace.is_sampled is (said == SAMPLED)
    assert trace.lines == (
        b"traceparent: 00-%b-%b-%b\r\ntracestate: vendor=1\r\n"
        % (TRACE.encode(), IDS[:8].hex().encode(), said[-2:])
    )


def test_others_traces_end_at_the_edge_and_are_linked() -> None:
    trace = starter(0.0).begin(SAMPLED, b"vendor=1", is_peer_trusted=False)
    assert trace.trace_id == IDS[8:].hex()
    assert not trace.is_sampled
    assert trace.parent is None
    assert trace.left == Parent(TRACE, SPAN, True)
    assert b"vendor" not in trace.lines
    assert TRACE.encode() not in trace.lines


@pytest.mark.parametrize("said", [None, b"nonsense"])
def test_without_a_trace_one_begins_and_no_state_is_kept(said: bytes | None) -> None:
    trace = starter().begin(said, b"vendor=1", is_peer_trusted=True)
    assert (trace.trace_id, trace.is_sampled) == (IDS[8:].hex(), True)
    assert b"tracestate" not in trace.lines


@pytest.mark.parametrize(("half", "is_sampled"), [(b"\x3f", True), (b"\xc0", False)])
def test_a_share_of_new_traces_is_sampled(half: bytes, is_sampled: bool) -> None:
    starts = TraceStarter(ratio=0.5, randbytes=lambda size: b"\x01" * 16 + half * 8)
    assert starts.begin(None, None, is_peer_trusted=False).is_sampled is is_sampled
