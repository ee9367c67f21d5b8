"""What `perf stat` says is a count, or none."""

import pytest

from bench.counters import counted

COUNTED = "1234567,,instructions,1000000,100.00,,\n"
NOT_HERE = "<not supported>,,instructions,0,100.00,,\n"
FORBIDDEN = "Error:\nAccess to performance monitoring and observability operations is limited.\n"


@pytest.mark.parametrize(
    ("account", "count"),
    [(COUNTED, 1234567), (NOT_HERE, None), (FORBIDDEN, None), ("", None)],
    ids=["counted", "no counter", "forbidden", "nothing said"],
)
def test_only_a_number_is_a_count(account: str, count: int | None) -> None:
    assert counted(account) == count
