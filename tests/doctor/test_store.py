"""What the doctor says of a real Redis-compatible server: sound, and with each fault."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.config import StoreConfig
from gateway.doctor.exposure import own_addresses
from gateway.doctor.finding import Finding, Severity
from gateway.doctor.store import examine_store
from tests.redis_servers import RedisServer, cluster, redis_server, sentinel_set

PASSWORD = "a-password-that-nobody-is-shown"
SOUND = ("--appendonly", "yes", "--maxmemory-policy", "noeviction")


async def examined(url: str, *, ahead: float = 0) -> dict[str, Finding]:
    """The findings by their check; `ahead` is how far this machine's clock is, in seconds."""
    settings = StoreConfig(url=url)
    found = [one async for one in examine_store(settings, wall=lambda: time.time() + ahead)]
    assert all(PASSWORD not in f"{one.evidence}{one.remedy}" for one in found)
    return {one.check: one for one in found}


def url_of(server: RedisServer) -> str:
    return server.url.replace("://", f"://:{PASSWORD}@")


async def test_a_sound_server_has_nothing_to_correct(tmp_path: Path) -> None:
    with redis_server(tmp_path, options=SOUND) as server:
        server.ask("CONFIG", "SET", "requirepass", PASSWORD)
        found = await examined(url_of(server))
    assert {check: one.severity for check, one in found.items()} == dict.fromkeys(
        (*("store_reachable", "store_eviction", "store_persistence", "store_auth"), "clock_skew"),
        Severity.OK,
    )


@pytest.mark.parametrize(
    ("options", "check", "severity", "evidence", "remedy"),
    [
        (
            ("--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"),
            "store_eviction",
            Severity.ERROR,
            "maxmemory-policy is allkeys-lru (maxmemory 100.00M)",
            "CONFIG SET maxmemory-policy noeviction",
        ),
        (
            (),
            "store_persistence",
            Severity.WARNING,
            "neither appendonly nor save",
            "appendonly yes",
        ),
        (("--save", "60 1"), "store_persistence", Severity.INFO, "(save 60 1)", "appendonly yes"),
        ((), "store_auth", Severity.INFO, "no password, on the loopback alone", ""),
        (
            ("--bind", "0.0.0.0", "--protected-mode", "no"),
            "store_auth",
            Severity.ERROR,
            "without a password on" if own_addresses() else "protected-mode is off",
            "set a password",
        ),
    ],
    ids=["evicts", "forgets", "snapshots", "local", "open to all"],
)
async def test_a_fault_is_told(
    options: Sequence[str],
    check: str,
    severity: Severity,
    evidence: str,
    remedy: str,
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path, options=tuple(options)) as server:
        found = (await examined(server.url))[check]
    assert found.severity is severity
    assert evidence in found.evidence
    assert remedy in found.remedy


@pytest.mark.skipif(not own_addresses(), reason="no address beside the loopback")
async def test_an_address_of_the_network_without_a_password_is_told(tmp_path: Path) -> None:
    address = own_addresses()[0]
    host = f"[{address}]" if address.version == 6 else f"{address}"
    options = ("--bind", "127.0.0.1", str(address), "--protected-mode", "no")
    with redis_server(tmp_path, options=options) as server:
        found = (await examined(f"redis://{host}:{server.port}/0"))["store_auth"]
    assert found.severity is (Severity.ERROR if address.is_global else Severity.WARNING)
    assert f"without a password on {'the public address ' * address.is_global}{address}" in (
        found.evidence
    )


@pytest.mark.parametrize(
    ("ahead", "severity", "evidence"),
    [
        (0, Severity.OK, "within 2 s"),
        (5, Severity.WARNING, "its clock is 5.0 s behind this machine's"),
        (-120, Severity.ERROR, "its clock is 120.0 s ahead of this machine's"),
    ],
)
async def test_a_clock_that_differs_is_told(
    ahead: float, severity: Severity, evidence: str, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as server:
        found = (await examined(server.url, ahead=ahead))["clock_skew"]
    assert found.severity is severity
    assert evidence in found.evidence


async def test_what_a_server_does_not_tell_is_unknown(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.ask("ACL", "SETUSER", "default", "-config")
        found = (await examined(server.url))["store_persistence"]
    assert found.severity is Severity.INFO
    assert found.evidence.startswith("unknown: ")


async def test_a_wrong_password_is_an_error_and_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.ask("CONFIG", "SET", "requirepass", "another one")
        found = await examined(url_of(server))
    assert [one.severity for one in found.values()] == [Severity.ERROR]
    assert "password" in found["store_reachable"].evidence


async def test_a_server_that_is_away_is_an_error() -> None:
    found = await examined(f"redis://:{PASSWORD}@127.0.0.1:1/0")
    assert [one.severity for one in found.values()] == [Severity.ERROR]


async def test_a_server_behind_a_socket_is_no_network_s(tmp_path: Path) -> None:
    place = tmp_path / "redis.sock"
    with redis_server(tmp_path, options=("--unixsocket", str(place))):
        found = await examined(f"unix://{place}")
    assert found["store_auth"].severity is Severity.INFO
    assert "behind a unix socket" in found["store_auth"].evidence


async def test_memory_is_a_hint() -> None:
    found = await examined("memory://")
    assert found["store_persistence"].severity is Severity.INFO


async def test_every_master_of_a_cluster_is_asked(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        settings = StoreConfig(url=servers.url)
        found = [one async for one in examine_store(settings, wall=time.time)]
        ports = {server.port for server in servers.servers}
    asked = {one.subject for one in found if one.check == "store_eviction"}
    assert asked == {f"store 127.0.0.1:{port}" for port in ports}


async def test_the_master_that_sentinels_name_is_asked(tmp_path: Path) -> None:
    with sentinel_set(tmp_path) as servers:
        found = await examined(servers.url)
        port = servers.master.port
    assert found["store_reachable"].evidence == f"127.0.0.1:{port} takes writes"
    assert "it has 1 replicas" in found["store_persistence"].evidence
