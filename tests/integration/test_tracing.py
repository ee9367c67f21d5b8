"""What is told of a request by the access log, to the upstream and to a collector: the same."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from examples.processes import Processes
from gateway.telemetry.access_log import short_hash
from tests.factories import SECRET, sign
from tests.integration.collector import Collector, attributes
from tests.integration.exchange import Answer, ask, meta_of
from tests.integration.servers import RunningGateway, start_gateway

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAID = ("traceparent", f"00-{TRACE}-{SPAN}-01")
UNSAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-00")
STATE = ("tracestate", "vendor=1")
SESSION = "9f86d081884c7d659a2feaa0c55ad015"
LANES = ["fast", "asgi"]


def _config(echo: str, *, trusted: bool, **tracing: Any) -> dict[str, Any]:
    route = {"auth": "optional", "issuers": ["main"], "upstream": "echo"}
    return {
        "server": {"trusted_proxies": ["127.0.0.1/32"] if trusted else []},
        "issuers": {"main": {"signing_key": SECRET}},
        "upstreams": {
            "echo": {"servers": [echo]},
            "absent": {"servers": ["http://127.0.0.1:9"], "timeouts": {"connect": "200ms"}},
        },
        "routes": [
            # Where a limit is asked for, the ASGI lane answers.
            {"path": "/asgi/", "rate_limit": {"rate": "1000/s"}, **route},
            {"path": "/absent/", "auth": "none", "upstream": "absent"},
            {"path": "/", **route},
        ],
        "tracing": tracing,
    }


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def _started(
    name: str, config: dict[str, Any], children: Processes, factory: pytest.TempPathFactory
) -> RunningGateway:
    return start_gateway(config, directory=factory.mktemp(name), children=children)


@pytest.fixture(scope="module")
def untraced(
    echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> RunningGateway:
    return _started("untraced", _config(echo, trusted=False), children, tmp_path_factory)


@pytest.fixture(scope="module")
def behind(
    echo: str, collector: Collector, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> RunningGateway:
    """It believes its peer, and samples none of the traces that begin here."""
    config = _config(echo, trusted=True, otlp_endpoint=collector.address, sample_ratio=0)
    return _started("behind", config, children, tmp_path_factory)


@pytest.fixture(scope="module")
def public(
    echo: str, collector: Collector, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> RunningGateway:
    config = _config(echo, trusted=False, otlp_endpoint=collector.address)
    return _started("public", config, children, tmp_path_factory)


def token() -> str:
    claims = {"token_type": "access", "exp": int(time.time()) + 300, "jti": "a", "user_id": "7"}
    return sign({**claims, "sid": SESSION})


def line_of(gateway: RunningGateway, path: str) -> dict[str, Any]:
    """What the access log has of the one request for this path."""
    line = gateway.process.wait_for(
        lambda: next((x for x in gateway.process.output().splitlines() if path in x), None)
    )
    found: dict[str, Any] = json.loads(line)
    return found


def parent_told(answer: Answer) -> tuple[str, str, str]:
    """The trace, the span and the flags that Django was told."""
    version, trace, span, flags = meta_of(answer)["HTTP_TRACEPARENT"].split("-")
    assert version == "00"
    return trace, span, flags


@pytest.mark.parametrize("lane", LANES)
def test_the_log_tells_who_how_long_and_how_much(untraced: RunningGateway, lane: str) -> None:
    path, body = f"/{lane}/told/", b"x" * 1000
    bearer = token()
    answer = ask(
        untraced.address, "POST", path + "?secret=1", body=body,
        headers=[("Authorization", f"Bearer {bearer}"), SAID],
    )  # fmt: skip
    line = line_of(untraced, path)
    assert (line["status"], line["user"], line["request_bytes"]) == (200, "7", 1000)
    assert line["session"] == short_hash(SESSION)
    assert line["bytes"] == len(answer.body)
    assert 0 < line["upstream_ms"] <= line["ms"]
    assert line["trace_id"] == TRACE
    output = untraced.process.output()
    assert SESSION not in output
    assert bearer not in output
    assert "secret=1" not in output


def test_the_log_of_a_refusal_has_the_trace_and_no_upstream(untraced: RunningGateway) -> None:
    answer = ask(
        untraced.address, "GET", "/refused/", headers=[("Authorization", "Bearer x.y.z"), SAID]
    )
    line = line_of(untraced, "/refused/")
    assert (line["status"], line["reason"], line["trace_id"]) == (401, "token_invalid", TRACE)
    assert line["upstream_ms"] is None
    assert line["bytes"] == len(answer.body) > 0


def test_without_tracing_the_fields_pass_untouched_and_none_is_made(
    untraced: RunningGateway,
) -> None:
    meta = meta_of(ask(untraced.address, "GET", "/untouched/", headers=[SAID, STATE]))
    assert (meta["HTTP_TRACEPARENT"], meta["HTTP_TRACESTATE"]) == (SAID[1], STATE[1])
    assert "HTTP_TRACEPARENT" not in meta_of(ask(untraced.address, "GET", "/unmade/"))


@pytest.mark.parametrize("lane", LANES)
def test_a_trusted_proxys_trace_goes_on(
    behind: RunningGateway, collector: Collector, lane: str
) -> None:
    path = f"/{lane}/goes-on/"
    answer = ask(behind.address, "GET", path, headers=[SAID, STATE])
    trace, span_id, flags = parent_told(answer)
    span = collector.span_of(path)
    assert (trace, flags, meta_of(answer)["HTTP_TRACESTATE"]) == (TRACE, "01", STATE[1])
    assert (span.trace_id.hex(), span.span_id.hex()) == (TRACE, span_id)
    assert span.parent_span_id.hex() == SPAN
    assert span.trace_state == STATE[1]
    assert line_of(behind, path)["trace_id"] == TRACE


def test_a_trusted_proxys_decision_and_the_ratio_decide_what_is_sampled(
    behind: RunningGateway, collector: Collector
) -> None:
    unwanted = parent_told(ask(behind.address, "GET", "/unwanted/", headers=[UNSAMPLED]))
    assert (unwanted[0], unwanted[2]) == (TRACE, "00")
    assert parent_told(ask(behind.address, "GET", "/of-none/"))[2] == "00"
    ask(behind.address, "GET", "/wanted/", headers=[SAID])
    collector.span_of("/wanted/")  # spans leave in their order
    assert not collector.has("/unwanted/")
    assert not collector.has("/of-none/")


@pytest.mark.parametrize("lane", LANES)
def test_at_the_public_edge_a_trace_begins_anew(
    public: RunningGateway, collector: Collector, lane: str
) -> None:
    path = f"/{lane}/anew/"
    bearer = token()
    answer = ask(
        public.address, "GET", path + "?secret=1",
        headers=[SAID, STATE, ("Authorization", f"Bearer {bearer}")],
    )  # fmt: skip
    trace, span_id, flags = parent_told(answer)
    span, line = collector.span_of(path), line_of(public, path)
    assert trace != TRACE
    assert flags == "01"
    assert "HTTP_TRACESTATE" not in meta_of(answer)
    assert (span.trace_id.hex(), span.span_id.hex()) == (trace, span_id)
    assert not span.parent_span_id
    assert [link.trace_id.hex() for link in span.links] == [TRACE]
    assert span.name == f"GET {line['route']}"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 30e9
    found = attributes(span)
    assert found["http.request.method"] == "GET"
    assert found["http.route"] == line["route"]
    assert found["http.response.status_code"] == 200
    assert found["url.scheme"] == "http"
    assert found["client.address"] == "127.0.0.1"
    assert found["gateway.request_id"] == line["request_id"]
    assert span.status.code == Status.STATUS_CODE_UNSET
    for secret in (bearer, SESSION, "secret=1", SECRET):
        assert secret.encode() not in span.SerializeToString()
    assert collector.paths == {"/v1/traces"}
    assert collector.resources[-1]["service.name"] == "gateway"


def test_a_failure_is_a_span_with_its_reason(public: RunningGateway, collector: Collector) -> None:
    assert ask(public.address, "GET", "/absent/x/").status == 502
    span = collector.span_of("/absent/x/")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == line_of(public, "/absent/x/")["reason"]


def test_a_refusal_is_no_error_of_the_server(public: RunningGateway, collector: Collector) -> None:
    ask(public.address, "GET", "/denied/", headers=[("Authorization", "Bearer x.y.z")])
    span = collector.span_of("/denied/")
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes(span)["gateway.reason"] == "token_invalid"


def test_a_stop_sends_the_last_spans(
    echo: str, collector: Collector, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = _config(echo, trusted=False, otlp_endpoint=f"{collector.address}/v1/traces")
    gateway = _started("last", config, children, tmp_path_factory)
    ask(gateway.address, "GET", "/last/")
    gateway.process.stop()
    assert collector.has("/last/")


def test_an_absent_collector_holds_up_no_answer_and_no_stop(
    echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = _config(echo, trusted=False, otlp_endpoint="http://127.0.0.1:9")
    gateway = _started("absent", config, children, tmp_path_factory)
    assert ask(gateway.address, "GET", "/unseen/").status == 200
    started = time.monotonic()
    gateway.process.stop()
    assert time.monotonic() - started < 8  # else it was killed
