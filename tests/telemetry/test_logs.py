"""What is written down of requests and events, and what never is."""

import asyncio
import json
import logging

import pytest

from gateway.request import RequestHead
from gateway.telemetry.access_log import BATCH, AccessLog, short_hash
from gateway.telemetry.logs import JsonFormatter, TextFormatter, configure_logging
from gateway.telemetry.request_id import RequestIds
from gateway.trace_context import TraceContext

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def told(
    log: AccessLog, path: str = "/a", user: str = "7", method: str = "GET", session: str = "s-1"
) -> None:
    request = RequestHead(
        method, path.encode("utf-8", "surrogatepass") + b"?token=secret", b"", b"", (),
        peer="127.0.0.1", route="/", user=user, session=session, trace=TraceContext(TRACE),
    )  # fmt: skip
    log.add(request, b"id-1", 200, "", 0.25, 0.125, 12, 3)


def unparsed(log: AccessLog) -> None:
    nothing = RequestHead("", b"", b"", b"", ())
    log.add(nothing, b"id-2", 400, "request_invalid", 0.0, None, 40, 0)


async def test_a_request_is_one_json_line() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    told(log)
    unparsed(log)
    log.flush()
    first, second = map(json.loads, written[0].splitlines())
    assert first == {
        "time": "1970-01-01T00:00:00.000+00:00", "method": "GET", "path": "/a", "status": 200,
        "reason": "", "route": "/", "client": "127.0.0.1", "user": "7",
        "session": short_hash("s-1"), "ms": 250.0, "upstream_ms": 125.0, "bytes": 12,
        "request_bytes": 3, "request_id": "id-1", "trace_id": TRACE,
    }  # fmt: skip
    assert second == {
        "time": "1970-01-01T00:00:00.000+00:00", "method": "", "path": "", "status": 400,
        "reason": "request_invalid", "route": "", "client": "", "user": "", "session": "",
        "ms": 0.0, "upstream_ms": None, "bytes": 40, "request_bytes": 0, "request_id": "id-2",
        "trace_id": "",
    }  # fmt: skip


async def test_a_request_is_one_line_of_text() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="text", wall=lambda: 0.0)
    told(log, "/a\nb")
    unparsed(log)
    log.flush()
    assert written[0].splitlines() == [
        '1970-01-01T00:00:00.000+00:00 127.0.0.1 GET "/a\\nb" 200 - route="/" user="7" '
        f"session={short_hash('s-1')} 250.00ms upstream=125.00ms bytes=12 request_bytes=3 id-1 "
        f"trace={TRACE}",
        '1970-01-01T00:00:00.000+00:00 - - "" 400 request_invalid route="" user="" '
        "session=- 0.00ms upstream=- bytes=40 request_bytes=0 id-2 trace=-",
    ]


async def test_a_session_is_told_apart_and_never_named() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    for session in ("9f86d081884c7d65", "60303ae22b998861", "9f86d081884c7d65", "\udce9"):
        told(log, session=session)
    log.flush()
    first, second, again, odd = (json.loads(x)["session"] for x in written[0].splitlines())
    assert first == again
    assert len({first, second, odd}) == 3
    assert len(first) == 12
    assert "9f86d081884c7d65" not in written[0]


@pytest.mark.parametrize(
    "hostile", ["/a\r\nb", '/a","status":500', "/a\x00", "/\udce9", "/a\u2028b"]
)
async def test_a_hostile_path_stays_one_field_of_one_line(hostile: str) -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    told(log, hostile, user=hostile, method=hostile)
    log.flush()
    assert written[0].count("\n") == 1
    line = json.loads(written[0])
    assert (line["user"], line["method"], line["status"]) == (hostile, hostile, 200)
    assert line["path"] == hostile.encode("utf-8", "surrogatepass").decode("latin-1")


async def test_lines_are_written_in_batches() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    for _ in range(BATCH + 1):
        told(log)
    assert [text.count("\n") for text in written] == [BATCH]
    async with asyncio.timeout(5):
        while len(written) < 2:
            await asyncio.sleep(0.01)
    assert written[1].count("\n") == 1
    log.flush()
    assert len(written) == 2


@pytest.mark.parametrize(
    ("said", "is_taken"),
    [(b"abc-1", True), (b"a" * 128, True), (b"a" * 129, False), (b"a b", False), (b"", False),
     (None, False), (b'a"', False)],
)  # fmt: skip
def test_an_id_is_taken_over_only_where_it_is_one(said: bytes | None, is_taken: bool) -> None:
    taken = RequestIds(b"p").accept(said)
    assert (taken == said) is is_taken


def test_ids_differ() -> None:
    ids = RequestIds(b"p")
    assert [ids.new(), ids.new()] == [b"p00000001", b"p00000002"]


def event(message: str, *, failed: bool = False) -> logging.LogRecord:
    made = logging.LogRecord("gateway.x", logging.WARNING, "f", 1, message, None, None)
    if failed:
        try:
            raise ValueError("broken\nthing")
        except ValueError as error:
            made.exc_info = (ValueError, error, error.__traceback__)
    return made


def test_an_event_is_one_json_line() -> None:
    line = JsonFormatter().format(event("a\nb", failed=True))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "gateway.x", "a\nb")
    assert "ValueError: broken" in entry["exception"]


def test_an_event_as_text_cannot_forge_a_line() -> None:
    assert "a\\nINFO forged" in TextFormatter().format(event("a\nINFO forged"))


@pytest.mark.parametrize(("form", "kind"), [("json", JsonFormatter), ("text", TextFormatter)])
def test_logging_is_set_up_once_for_all(form: str, kind: type) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging("debug", form)
        assert [type(handler.formatter) for handler in root.handlers] == [kind]
        assert logging.getLogger("httpx").level == logging.WARNING
    finally:
        root.handlers[:] = before
        root.setLevel(level)
