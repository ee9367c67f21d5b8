"""Where a Close frame may stand, told by the same frames cut in any way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway.edge.frames import FrameCount, closing_frame

SIZES = st.sampled_from([0, 1, 2, 125, 126, 127, 128, 65535, 65536, 70000])


@pytest.fixture(autouse=True)
def lane() -> None:
    """No lane."""


@given(
    sizes=st.lists(SIZES, max_size=6),
    cuts=st.lists(st.integers(1, 90_000), max_size=40),
    is_masked=st.booleans(),
)
def test_a_stream_is_between_frames_at_their_ends_alone(
    sizes: list[int], cuts: list[int], is_masked: bool
) -> None:
    stream, ends = b"", {0}
    for size in sizes:
        stream += Frame(Opcode.BINARY, bytes(size)).serialize(mask=is_masked)
        ends.add(len(stream))
    count, at = FrameCount(), 0
    for step in [*cuts, len(stream)]:
        count.feed(stream[at : at + step])
        at = min(at + step, len(stream))
        assert count.is_between == (at in ends)


@given(stream=st.lists(SIZES, min_size=1, max_size=3))
def test_byte_by_byte_it_is_the_same(stream: list[int]) -> None:
    frames = [Frame(Opcode.TEXT, bytes(min(size, 200))).serialize(mask=True) for size in stream]
    count = FrameCount()
    for frame in frames:
        for number, byte in enumerate(frame, 1):
            count.feed(bytes([byte]))
            assert count.is_between == (number == len(frame))


@pytest.mark.parametrize("is_masked", [True, False])
def test_the_closing_frame_is_a_frame(is_masked: bool) -> None:
    count = FrameCount()
    count.feed(closing_frame(1001, is_masked=is_masked))
    assert count.is_between
