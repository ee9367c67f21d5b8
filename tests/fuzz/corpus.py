"""Inputs of the fuzzer: how one is read, which it starts from, and where they are kept."""

from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.harness import Harness, assert_safe
from tests.fuzz.pieces import BODIES, FIELDS, START_LINES

CORPUS = Path(__file__).parent / "corpus"


def check(harness: Harness, data: bytes) -> None:
    """Sends an input; raises where anything about it is not as it should be."""
    if not data:
        return
    how, sent = data[0], data[1:]
    size = len(sent) // (1 + (how >> 1) % 8) + 1
    reads = [sent[start : start + size] for start in range(0, len(sent), size)]
    assert_safe(harness.run(reads, is_fast=bool(how & 1)), sent)


def seeds() -> Iterator[bytes]:
    """One input for each piece of the vocabulary."""
    for start in START_LINES:
        yield b"\x01" + start + b"Host: a\r\n\r\n"
    for field in FIELDS:
        yield b"\x00" + START_LINES[1] + b"Host: a\r\n" + field + b"\r\nabc"
    for body in BODIES:
        head = START_LINES[1] + b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield b"\x03" + head + body + START_LINES[0] + b"Host: a\r\n\r\n"
