"""How the file writes unix sockets: `unix:/path`, and who may connect."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from gateway.config.secret import directory_of

PREFIX = "unix:"

_LONGEST_PATH = 107  # sun_path of sockaddr_un holds 108 bytes with its end


def socket_url(value: str, info: ValidationInfo) -> str:
    """`unix:` with the whole path; a relative one starts at the configuration file."""
    name = value.removeprefix(PREFIX)
    if name.startswith("//"):
        name = name.removeprefix("//")
    if not name.strip("/") or "\0" in name:
        raise ValueError("must be unix:/path")
    path = str(directory_of(info) / name)
    if len(path.encode()) > _LONGEST_PATH:
        raise ValueError("a socket's path may have 107 bytes at most")
    return f"{PREFIX}{path}"


def _mode(value: Any) -> str:
    # YAML reads 0660 without quotes as another number, and it is one in octal too.
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value, re.ASCII):
        raise ValueError('must be a file mode in quotes, such as "0660"')
    return value


SocketMode = Annotated[
    str, BeforeValidator(_mode), WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$"})
]
