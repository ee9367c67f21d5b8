"""A store's URL says where it is, and never tells a password."""

import pytest

from gateway.stores.address import Layout, read_address

PASSWORD = "s3cret/@:"
QUOTED = "s3cret%2F%40%3A"


@pytest.mark.parametrize(
    ("url", "layout", "hosts", "database"),
    [
        pytest.param("redis://h", Layout.SINGLE, (("h", 6379),), 0, id="least"),
        pytest.param("redis://", Layout.SINGLE, (("localhost", 6379),), 0, id="local"),
        pytest.param("redis://h:1/2", Layout.SINGLE, (("h", 1),), 2, id="port and database"),
        pytest.param("rediss://h?db=3", Layout.SINGLE, (("h", 6379),), 3, id="database asked"),
        pytest.param("redis://[::1]:1", Layout.SINGLE, (("::1", 1),), 0, id="IPv6"),
        pytest.param(
            "redis+sentinel://a,b:1/m/4",
            Layout.SENTINEL,
            (("a", 26379), ("b", 1)),
            4,
            id="sentinel",
        ),
        pytest.param(
            "redis+cluster://a:7,b", Layout.CLUSTER, (("a", 7), ("b", 6379)), 0, id="cluster"
        ),
    ],
)
def test_a_url_says_where_the_servers_are(
    url: str, layout: Layout, hosts: tuple[tuple[str, int], ...], database: int
) -> None:
    address = read_address(url)
    assert (address.layout, address.hosts, address.database) == (layout, hosts, database)
    assert address.is_encrypted is url.startswith("rediss")


def test_a_socket_has_a_path() -> None:
    address = read_address("unix:///run/store.sock?db=1")
    assert (address.path, address.database) == ("/run/store.sock", 1)
    assert address.connection(None, timeout=1).db == 1


@pytest.mark.parametrize(
    "rest",
    ["@h/0", "@h,i/name?sentinel_password=other", "@h"],
    ids=["single", "sentinel", "cluster"],
)
def test_credentials_are_read_and_not_told(rest: str) -> None:
    scheme = "redis+sentinel" if "name" in rest else "redis"
    address = read_address(f"{scheme}://ada:{QUOTED}{rest}")
    assert (address.username, address.password) == ("ada", PASSWORD)
    assert "s3cret" not in f"{address} {address!r}"
    assert "other" not in f"{address} {address!r}"


def test_an_encrypted_connection_checks_the_certificate() -> None:
    connection = read_address("rediss://h?ssl_ca_certs=ca.pem").connection(("h", 1), timeout=1)
    assert connection.cert_reqs.name == "CERT_REQUIRED"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:6379",
        "http://h",
        "redis+other://h",
        "unix+cluster://h",
        "redis://a,b",
        "redis+sentinel://h",
        "redis+cluster://",
        "redis://h/x",
        "redis://h:99999",
    ],
)
def test_what_can_not_be_read_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"store|Sentinel|URL|[Pp]ort"):
        read_address(url)


@pytest.mark.parametrize(
    ("url", "wording"),
    [
        ("redis://h?retries=3", "takes no such option"),
        ("redis+cluster://h/3", "no numbered databases"),
        ("redis+cluster://h?db=3", "no numbered databases"),
    ],
)
def test_what_would_be_ignored_is_refused(url: str, wording: str) -> None:
    with pytest.raises(ValueError, match=wording):
        read_address(url)
