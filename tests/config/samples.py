"""Configurations for tests: one small valid file, a section a line, of which tests change one."""

from collections.abc import Mapping
from pathlib import Path

from gateway.config import ConfigError, Loaded, load

SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret-s3cret"

_SECTIONS = {
    "server": "{}",
    "store": "{}",
    "issuer": f"{{signing_key: {SECRET}}}",
    "upstream": '{servers: ["http://127.0.0.1:8001"]}',
    "route": "{path: /, issuers: [students], upstream: students}",
    "admin": "{}",
    "logging": "{}",
    "tracing": "{}",
}

# What a section needs beside the key that a test is about.
_SHORT = {
    "@ISSUER": "jwk_url: https://id.example.org/jwks, algorithm: RS256",
    "@SERVERS": "servers: [http://h:1]",
    "@TO": "issuers: [students], upstream: students",
}

_FILE = """\
server: {server}
store: {store}
issuers:
  students: {issuer}
upstreams:
  students: {upstream}
routes:
  - {route}
admin: {admin}
logging: {logging}
tracing: {tracing}
"""


def file_with(**sections: str) -> str:
    """The small file; `issuer` is on line 4, `upstream` on 6, `route` on 8."""
    text = _FILE.format(**{**_SECTIONS, **sections})
    for mark, keys in _SHORT.items():
        text = text.replace(mark, keys)
    return text


def load_text(
    directory: Path,
    text: str,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    path = directory / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ or {}, overrides=overrides)


def faults_of(
    directory: Path,
    text: str,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> list[str]:
    """The lines that the user would read, without the directory; none for a good file."""
    try:
        load_text(directory, text, environ=environ, overrides=overrides)
    except ConfigError as error:
        return str(error).replace(f"{directory}/", "").splitlines()
    return []
