"""No request is forwarded that another parser could read in another way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.harness import Harness, assert_safe
from tests.fuzz.pieces import BODIES, FIELDS, START_LINES, reads, streams


@given(data=st.data(), is_fast=st.booleans())
def test_what_is_forwarded_is_what_was_sent_to_every_parser(
    harness: Harness, data: st.DataObject, is_fast: bool
) -> None:
    sent = data.draw(streams())
    assert_safe(harness.run(data.draw(reads(sent)), is_fast=is_fast), sent)


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "asgi"])
def test_no_single_oddity_is_forwarded_differently(harness: Harness, is_fast: bool) -> None:
    behind = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
    for start in START_LINES:
        for field in FIELDS:
            for body in (b"", *BODIES):
                sent = start + b"Host: a\r\n" + field + b"\r\n" + body + behind
                assert_safe(harness.run([sent], is_fast=is_fast), sent)
