"""Keys that are known and do not work yet: refused by that name, never ignored."""

from pathlib import Path

import pytest

from tests.config.samples import faults_of, file_with

NOT_YET = [
    *(
        ("upstream", "{@SERVERS, " + text + "}", f"6: upstreams.students.{key}")
        for key, text in {
            "identity": "identity: drf_token",
        }.items()
    ),
]


@pytest.mark.parametrize(("section", "text", "key"), NOT_YET, ids=[k for *_, k in NOT_YET])
def test_a_key_that_does_not_work_yet_is_refused(
    tmp_path: Path, section: str, text: str, key: str
) -> None:
    faults = faults_of(tmp_path, file_with(**{section: text}))

    assert len(faults) == 1, faults
    assert faults[0].startswith(f"config.yaml:{key}: ")
    assert "not supported yet" in faults[0]


def test_workers_without_a_shared_store_are_told_of_redis(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, file_with(server="{workers: 2}"))

    assert fault.startswith("config.yaml:1: server.workers: ")
    assert "Redis" in fault
