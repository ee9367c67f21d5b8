"""The file of a unix socket: whose it is, who may connect, and when it goes."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.listening import Listening, listening
from gateway.config import ServerConfig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sock"


def server(path: Path, **changes: object) -> ServerConfig:
    return ServerConfig.model_validate({"host": f"unix:{path}", **changes})


@pytest.fixture
def public(path: Path) -> Iterator[Listening]:
    with listening(server(path)) as opened:
        yield opened


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        return asking.connect_ex(str(path)) == 0


def test_it_is_there_for_as_long_as_the_gateway_listens(path: Path) -> None:
    with listening(server(path)) as public:
        assert public.address == f"unix:{path}"
        assert answers(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("said", "mode"),
    [({}, 0o660), ({"socket_mode": "600"}, 0o600), ({"socket_mode": "0666"}, 0o666)],
)
def test_its_mode_is_the_configured_one_whatever_the_umask(
    path: Path, said: dict[str, str], mode: int
) -> None:
    before = os.umask(0o077)
    try:
        with listening(server(path, **said)):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_all_workers_have_the_same_socket(path: Path) -> None:
    with listening(server(path, workers=3)) as public:
        assert len(public.listeners) == 3
        assert len(set(public.listeners)) == 1


def test_one_that_was_left_behind_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listening(server(path)):
        assert answers(path)


def test_one_on_which_somebody_listens_is_left_alone(path: Path, public: Listening) -> None:
    with (
        pytest.raises(OSError, match=f"another process listens there \\(unix:{path}\\)"),
        listening(server(path)),
    ):
        pass
    assert answers(path)


def test_one_whose_queue_is_full_is_not_taken_for_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(path))
            assert not answers(path)
            with pytest.raises(OSError, match="another process"), listening(server(path)):
                pass


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="no socket"), listening(server(path)):
        pass
    assert path.read_text() == "mine"


def test_a_directory_that_is_absent_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "gateway.sock"
    with pytest.raises(FileNotFoundError, match=str(path)), listening(server(path)):
        pass


def test_that_of_a_follower_is_not_removed(path: Path, public: Listening) -> None:
    public.vanish()
    assert not path.exists()
    assert public.listeners[0].fileno() >= 0  # who is in its queue is served
    with listening(server(path)):
        public.vanish()
        assert answers(path)
