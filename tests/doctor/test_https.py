"""Who may say that a client came by https: a trusted proxy, or whoever opens the unix socket."""

from typing import Any

import pytest

from gateway.config import Config
from gateway.doctor import Severity, examine
from tests.servers import Upstreamed, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def to_https(connection: Upstreamed) -> None:
    """As Django with SECURE_SSL_REDIRECT, which believes X-Forwarded-Proto."""
    while True:
        head = await connection.head()
        if b"X-Forwarded-Proto: https" in head:
            await connection.send(OK)
            continue
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
        path = head.split(b" ")[1]
        place = b"https://%b%b" % (fields[b"Host"], path)
        await connection.send(
            b"HTTP/1.1 301 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % place
        )


@pytest.mark.parametrize(
    ("server", "severity"),
    [
        ({}, Severity.ERROR),
        ({"trusted_proxies": ["127.0.0.1"]}, Severity.OK),
        ({"host": "unix:/run/gateway/gateway.sock"}, Severity.OK),
    ],
    ids=["nobody", "a proxy", "by a unix socket"],
)
async def test_a_redirect_to_https_needs_somebody_who_says_it(
    server: dict[str, Any], severity: Severity
) -> None:
    async with scripted(to_https) as app:
        config = Config.model_validate(
            {
                "server": server,
                "upstreams": {
                    "app": {
                        "servers": [f"http://127.0.0.1:{app.port}"], "timeouts": {"idle": "100ms"},
                    }
                },
                "routes": [{"path": "/", "auth": "none", "upstream": "app"}],
            }
        )  # fmt: skip
        found = await examine(config)
    assert [each.severity for each in found if each.check == "https_redirect"] == [severity]
