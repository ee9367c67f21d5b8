"""Under which names the admin listener answers: see `admin.allowed_hosts`."""

import pytest

from gateway.config import AdminConfig
from gateway.endpoints.admin.hosts import is_ours

NAMED = ("ops.example.org", "*.internal")


@pytest.mark.parametrize(
    "named",
    ["localhost", "localhost:9090", "LOCALHOST.", "127.0.0.1:9090", "[::1]:9090", "10.1.2.3"],
)
@pytest.mark.parametrize("allowed", [None, (), NAMED], ids=["default", "none", "some"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0"])
def test_localhost_and_addresses_are_always_meant(
    named: str, allowed: tuple[str, ...] | None, host: str
) -> None:
    assert is_ours(named, AdminConfig(host=host, allowed_hosts=allowed))


@pytest.mark.parametrize(
    "named",
    [
        "evil.example.org",
        "evil.example.org:9090",
        "127.0.0.1.evil.example.org",
        "localhost.evil.example.org",
        "evil-localhost",
        "a@localhost@evil.example.org",
        "[::1",
        "",
    ],
)
@pytest.mark.parametrize(
    ("host", "allowed"),
    [("127.0.0.1", None), ("::1", None), ("localhost", None), ("0.0.0.0", ()), ("0.0.0.0", NAMED)],
    ids=["loopback", "loopback IPv6", "localhost", "none allowed", "others allowed"],
)
def test_another_name_is_not(named: str, host: str, allowed: tuple[str, ...] | None) -> None:
    assert not is_ours(named, AdminConfig(host=host, allowed_hosts=allowed))


@pytest.mark.parametrize("named", ["ops.example.org", "Ops.Example.Org:8443", "gw.internal"])
def test_a_name_that_is_allowed_is(named: str) -> None:
    assert is_ours(named, AdminConfig(host="127.0.0.1", allowed_hosts=NAMED))


def test_elsewhere_than_on_loopback_any_name_is() -> None:
    assert is_ours("gateway:9090", AdminConfig(host="0.0.0.0"))
