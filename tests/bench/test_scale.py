"""The simulation of growth, small: it counts what really is in the store, and who is told."""

from pathlib import Path

import pytest

from bench.scale.__main__ import Filling, connected, fill, measure, report
from tests.redis_servers import redis_server


async def test_sessions_are_begun_and_weighed(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with connected(server) as store:
            fillings = await fill(store, server, [500, 1_000])
        written = server.ask("KEYS", "gw:{0}:s:students:*")
    assert isinstance(written, list)
    assert len(written) == 1_000
    assert [filling.sessions for filling in fillings] == [500, 1_000]
    assert 100 < fillings[-1].each < 400


async def test_workers_are_all_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.scale.followers.IDLE", 0.0001)
    with redis_server(tmp_path) as server:
        told = await measure(server, sessions=1_000, workers=[1, 4], revocations=50)
    rows = [line.split() for line in told.splitlines()[-3:-1]]
    assert [row[0] for row in rows] == ["1", "4"]


def test_what_was_foretold_stands_beside_what_was_measured() -> None:
    tenth = Filling(sessions=100, memory=20_000, cpu=1e-5, rate=1.0)
    whole = Filling(sessions=1_000, memory=180_000, cpu=1e-5, rate=1.0)
    told = report([tenth, whole], [])
    assert "+11.1 % of what was measured" in told
    assert "so 10,000,000 sessions: 1.68 GiB" in told
