"""The control socket: how `gateway reload` speaks to the gateway that runs.

A Unix socket that only its owner (and root) may open. Its place follows from the path of the
configuration file, so that both sides find it; `--control-socket` and `$GATEWAY_CONTROL_SOCKET`
name another one. A client says `reload`, and reads a JSON object with what came of it.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from gateway.app.reloading import Outcome
from gateway.edge.socket_file import SocketFile

PATIENCE = 60.0  # seconds that `gateway reload` waits for the outcome
_ORDER = b"reload\n"

_LOG = logging.getLogger(__name__)


class ControlUnavailable(Exception):
    """There is no gateway to speak to; the text says why."""


def default_place(config_file: Path) -> Path:
    """Where the gateway of this file has its control socket."""
    name = hashlib.sha256(os.fsencode(config_file.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"gateway-{name}" / "control"


@contextlib.asynccontextmanager
async def control_socket(
    place: Path, reload: Callable[[], Awaitable[Outcome]]
) -> AsyncIterator[None]:
    """Answers on this socket for as long as the context lasts; without it, where that can't be."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            if await reader.readline() == _ORDER:
                outcome = await reload()
                writer.write(json.dumps(outcome._asdict()).encode())
                await writer.drain()
        writer.close()

    try:
        file = _bound(place)
    except OSError as error:
        why = error.strerror or error
        _LOG.warning("no control socket at %s: %s; a reload takes SIGHUP", place, why)
        yield
        return
    server = await asyncio.start_unix_server(serve, sock=file.listener)
    try:
        yield
    finally:
        _remove(place, file)
        server.close()


def ask_to_reload(place: Path) -> Outcome:
    """What the running gateway says; raises ControlUnavailable."""
    with socket.socket(socket.AF_UNIX) as speaking:
        speaking.settimeout(PATIENCE)
        try:
            speaking.connect(str(place))
            speaking.sendall(_ORDER)
            said = b"".join(iter(lambda: speaking.recv(65536), b""))
        except TimeoutError as error:
            raise ControlUnavailable(f"{place}: no answer within {PATIENCE:g} s") from error
        except FileNotFoundError as error:
            raise ControlUnavailable(
                f"no gateway runs with this file: {place} is absent"
            ) from error
        except OSError as error:
            raise ControlUnavailable(f"{place}: {error.strerror or error}") from error
    try:
        answer = json.loads(said)
        return Outcome(bool(answer["is_done"]), tuple(map(str, answer["lines"])))
    except (ValueError, KeyError, TypeError) as error:
        raise ControlUnavailable(f"{place}: the gateway ended before it had reloaded") from error


def _bound(place: Path) -> SocketFile:
    """A listening socket there; raises OSError also where a gateway has it."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = place.parent.lstat()
    if _is_ours(place) and (about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077):
        raise PermissionError(0, "its directory is not this user's alone")
    return SocketFile(place, mode=0o600, backlog=128)


def _remove(place: Path, file: SocketFile) -> None:
    file.remove()
    if _is_ours(place):
        with contextlib.suppress(OSError):  # another gateway has one there
            place.parent.rmdir()


def _is_ours(place: Path) -> bool:
    """Whether this module made up the place: others' directories are none of its business."""
    return place.parent.parent == Path(tempfile.gettempdir()) and place.name == "control"
