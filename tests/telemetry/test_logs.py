"""What is written down of requests and events, and what never is."""

import asyncio
import json
import logging

import pytest

from gateway.telemetry.access_log import BATCH, AccessLog, Record
from gateway.telemetry.logs import JsonFormatter, TextFormatter, configure_logging
from gateway.telemetry.request_id import RequestIds


def record(path: str = "/a", user: str = "7") -> Record:
    return Record(
        method="GET", path=path, client="127.0.0.1", seconds=0.25, request_id=b"id-1",
        route="/", status=200, reason="", user=user,
    )  # fmt: skip


async def test_a_request_is_one_json_line() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    log.add(record())
    log.flush()
    assert json.loads(written[0]) == {
        "time": "1970-01-01T00:00:00.000+00:00", "method": "GET", "path": "/a", "status": 200,
        "reason": "", "route": "/", "client": "127.0.0.1", "user": "7", "ms": 250.0,
        "request_id": "id-1",
    }  # fmt: skip


async def test_a_request_is_one_line_of_text() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="text", wall=lambda: 0.0)
    log.add(record("/a\nb"))
    log.add(Record(request_id=b"id-2", status=400, reason="request_invalid"))
    log.flush()
    assert written == [
        '1970-01-01T00:00:00.000+00:00 127.0.0.1 GET "/a\\nb" 200 - route="/" user="7" 250.00ms '
        'id-1\n1970-01-01T00:00:00.000+00:00 - - "" 400 request_invalid route="" user="" 0.00ms '
        "id-2\n"
    ]


@pytest.mark.parametrize(
    "hostile", ["/a\r\nb", '/a","status":500', "/a\x00", "/\udce9", "/a\u2028b"]
)
async def test_a_hostile_path_stays_one_field_of_one_line(hostile: str) -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    log.add(record(hostile, user=hostile))
    log.flush()
    assert written[0].count("\n") == 1
    line = json.loads(written[0])
    assert (line["path"], line["user"], line["status"]) == (hostile, hostile, 200)


async def test_lines_are_written_in_batches() -> None:
    written: list[str] = []
    log = AccessLog(written.append, form="json", wall=lambda: 0.0)
    for _ in range(BATCH + 1):
        log.add(record())
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
