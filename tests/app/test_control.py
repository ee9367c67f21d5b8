"""The control socket: who may open it, and what becomes of one that was left behind."""

import asyncio
import logging
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.app.control import ControlUnavailable, ask_to_reload, control_socket, default_place
from gateway.app.reloading import Outcome

DONE = Outcome(True, ("reloaded", "server.keep_alive: 5 -> 6"))
REFUSED = Outcome(False, ("config.yaml:1: server: unknown key",))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default place, in a directory for temporary files of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return default_place(tmp_path / "config.yaml")


def giving(outcome: Outcome) -> Callable[[], Awaitable[Outcome]]:
    async def reload() -> Outcome:
        return outcome

    return reload


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_there(path: Path) -> bool:
    return path.exists()


@pytest.mark.parametrize("outcome", [DONE, REFUSED], ids=["done", "refused"])
async def test_the_outcome_is_told(place: Path, outcome: Outcome) -> None:
    async with control_socket(place, giving(outcome)):
        assert await asyncio.to_thread(ask_to_reload, place) == outcome


async def test_the_owner_alone_may_open_it(place: Path) -> None:
    async with control_socket(place, giving(DONE)):
        assert (mode(place), mode(place.parent)) == (0o600, 0o700)
    assert not is_there(place.parent)


async def test_a_socket_that_was_left_behind_is_taken_over(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    async with control_socket(place, giving(DONE)):
        assert await asyncio.to_thread(ask_to_reload, place) == DONE


async def test_that_of_another_gateway_is_left_alone(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with control_socket(place, giving(DONE)):
        async with control_socket(place, giving(REFUSED)):
            assert await asyncio.to_thread(ask_to_reload, place) == DONE
        assert await asyncio.to_thread(ask_to_reload, place) == DONE
    assert "another process listens there" in caplog.text


async def test_a_directory_that_others_may_enter_is_not_trusted(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place.parent.mkdir(mode=0o755)
    with caplog.at_level(logging.WARNING):
        async with control_socket(place, giving(DONE)):
            with pytest.raises(ControlUnavailable):
                await asyncio.to_thread(ask_to_reload, place)
    assert "its directory is not this user's alone" in caplog.text


async def test_a_word_that_is_no_order_is_not_answered(place: Path) -> None:
    async with control_socket(place, giving(DONE)):
        reader, writer = await asyncio.open_unix_connection(str(place))
        writer.write(b"stop\n")
        assert await reader.read() == b""
        writer.close()


def test_one_file_has_one_place_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    same = tmp_path / "x" / ".." / "config.yaml"
    assert default_place(Path("config.yaml")) == default_place(same)
    assert default_place(Path("config.yaml")) != default_place(Path("other.yaml"))


def test_nobody_answers(place: Path) -> None:
    with pytest.raises(ControlUnavailable, match="no gateway runs with this file"):
        ask_to_reload(place)


def test_a_gateway_that_ends_over_the_reload_is_told(place: Path) -> None:
    place.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(place))
        mute.listen()
        mute.settimeout(5)

        async def asked() -> None:
            asking = asyncio.create_task(asyncio.to_thread(ask_to_reload, place))
            accepted, _ = await asyncio.to_thread(mute.accept)
            accepted.close()
            with pytest.raises(ControlUnavailable):
                await asking

        asyncio.run(asked())
