"""A listening unix socket and its file.

Rules
- A file that a killed process left behind is replaced; one on which somebody answers is not, nor
  is anything that is no socket.
- Whoever made the file removes it, unless it has become another one's by then.
"""

import contextlib
import errno
import socket
import stat
from pathlib import Path


class SocketFile:
    """The file of `listener`, a socket that listens there. `mode` says who may connect."""

    def __init__(self, path: Path, *, mode: int, backlog: int) -> None:
        """Raises OSError where that can't be."""
        self._path = path
        _clear(path)
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            self.listener.bind(str(path))
            self._inode = path.lstat().st_ino
            path.chmod(mode)  # before anybody can connect
            self.listener.listen(backlog)
        except OSError:
            self.listener.close()
            raise
        self._is_there = True

    def remove(self) -> None:
        """From now on nobody finds it. To be called while the socket is open, which keeps the
        number of its inode from being given to another file; later calls do nothing.
        """
        if not self._is_there:
            return
        self._is_there = False
        with contextlib.suppress(OSError):  # what is left behind the next one replaces
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()

    def __repr__(self) -> str:
        return f"<SocketFile {self._path}>"


def _clear(path: Path) -> None:
    """Makes way for a new socket; raises OSError where somebody or something else is there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise FileExistsError(
                    errno.EEXIST, "there is something that is no socket"
                ) from None
            path.unlink()
            return
        except BlockingIOError:  # its queue is full
            pass
    raise OSError(errno.EADDRINUSE, "another process listens there")
