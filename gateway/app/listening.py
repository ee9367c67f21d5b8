"""Where clients come in: TCP sockets, one for each worker, or one unix socket for all of them."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.config import ServerConfig
from gateway.edge.ports import BACKLOG, listen, listen_together
from gateway.edge.socket_file import SocketFile


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket for each worker."""

    listeners: Sequence[socket.socket]
    file: SocketFile | None

    @property
    def address(self) -> str:
        """As the log and the configuration write it."""
        name = self.listeners[0].getsockname()
        return f"unix:{name}" if self.file is not None else f"http://{name[0]}:{name[1]}"

    def vanish(self) -> None:
        """Before a stop: who connects through a file finds none, and asks the next server."""
        if self.file is not None:
            self.file.remove()


@contextlib.contextmanager
def listening(server: ServerConfig) -> Iterator[Listening]:
    """The sockets for as long as the context lasts; raises OSError where they can't be had."""
    file = None
    if server.socket_path is not None:
        file = _socket_file(server.socket_path, mode=int(server.socket_mode, 8))
        listeners = [file.listener] * server.workers
    elif server.workers == 1:
        listeners = [listen(server.host, server.port)]
    else:
        listeners = listen_together(server.host, server.port, server.workers)
    with contextlib.ExitStack() as opened:
        for listener in listeners:
            opened.enter_context(listener)
        public = Listening(listeners, file)
        opened.callback(public.vanish)
        yield public


def _socket_file(path: Path, *, mode: int) -> SocketFile:
    try:
        return SocketFile(path, mode=mode, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (unix:{path})") from error
