"""Who may connect to the gateway's own unix socket: a mode for everybody is doubtful."""

from pathlib import Path

import pytest

from tests.config.samples import file_with, load_text

HOST = "host: unix:/run/gateway/gateway.sock"


@pytest.mark.parametrize(
    ("server", "is_doubtful"),
    [
        (f"{{{HOST}}}", False),
        (f"{{{HOST}, socket_mode: '0600'}}", False),
        (f"{{{HOST}, socket_mode: '664'}}", False),
        (f"{{{HOST}, socket_mode: '0666'}}", True),
        ("{socket_mode: '0666'}", False),
    ],
)
def test_a_mode_for_everybody_is_a_doubt(tmp_path: Path, server: str, is_doubtful: bool) -> None:
    warnings = [str(one) for one in load_text(tmp_path, file_with(server=server)).warnings]
    found = [one for one in warnings if "server.socket_mode: every user of this machine may" in one]
    assert bool(found) is is_doubtful
