"""Bodies of 100 MiB stream both ways bit for bit, and the gateway's memory stays flat."""

import hashlib
import random
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest

from examples.apps import connect
from tests.integration.exchange import head, receive
from tests.integration.servers import RunningGateway

MEBIBYTE = 1024 * 1024
SIZE = 100  # mebibytes


@pytest.fixture
def gateway(echo: str, run_gateway: Callable[[dict[str, Any]], RunningGateway]) -> RunningGateway:
    return run_gateway(
        {
            "server": {"max_body_size": "200MiB"},
            "upstreams": {"echo": {"servers": [echo]}},
            "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
        }
    )


def _pieces(mebibytes: int) -> Iterator[bytes]:
    """The very bytes that the echo app sends for a download of this size."""
    source = random.Random(mebibytes)
    for _ in range(mebibytes):
        yield source.randbytes(MEBIBYTE)


def _digest(mebibytes: int) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(mebibytes):
        digest.update(piece)
    return digest.hexdigest()


def _download(address: str, mebibytes: int) -> tuple[str, int]:
    with connect(address) as connection:
        connection.settimeout(30)
        connection.sendall(head("GET", f"/download/{mebibytes}/"))
        with HTTPResponse(connection) as response:
            response.begin()
            digest, length = hashlib.sha256(), 0
            while piece := response.read(256 * 1024):
                digest.update(piece)
                length += len(piece)
    return digest.hexdigest(), length


def _upload(address: str, mebibytes: int, *, is_chunked: bool) -> tuple[str, int]:
    size = mebibytes * MEBIBYTE
    framing = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(size))
    with connect(address) as connection:
        connection.settimeout(30)
        connection.sendall(head("POST", "/upload/", headers=[framing]))
        for piece in _pieces(mebibytes):
            data = b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece
            connection.sendall(data)
        if is_chunked:
            connection.sendall(b"0\r\n\r\n")
        told = receive(connection, "POST").json()
    return told["sha256"], told["length"]


def test_300_mebibytes_pass_bit_for_bit_in_flat_memory(gateway: RunningGateway) -> None:
    small, large = ((_digest(size), size * MEBIBYTE) for size in (1, SIZE))
    assert _download(gateway.address, 1) == small
    assert _upload(gateway.address, 1, is_chunked=False) == small
    before = gateway.peak_memory()
    assert _download(gateway.address, SIZE) == large
    assert _upload(gateway.address, SIZE, is_chunked=False) == large
    assert _upload(gateway.address, SIZE, is_chunked=True) == large
    assert gateway.peak_memory() - before <= 32 * MEBIBYTE


def test_a_slow_reader_is_not_buffered_for(gateway: RunningGateway) -> None:
    """The upstream could send 100 MiB at once; what the client doesn't take is not fetched."""
    assert _download(gateway.address, 1) == (_digest(1), MEBIBYTE)
    before = gateway.peak_memory()
    with connect(gateway.address) as connection:
        connection.settimeout(30)
        connection.sendall(head("GET", f"/download/{SIZE}/"))
        connection.recv(1)
        # Twenty others come and go meanwhile: time enough to fetch it all, were it fetched.
        for _ in range(20):
            assert _download(gateway.address, 1)[1] == MEBIBYTE
    assert gateway.peak_memory() - before <= 32 * MEBIBYTE
