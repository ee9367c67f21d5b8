"""What differs between two configurations, as `gateway reload` tells it."""

from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.config.changes import changes, fixed_changes
from tests.config.samples import SECRET, file_with

OTHER = SECRET[::-1]


def config(directory: Path, **sections: str) -> Config:
    file = directory / "config.yaml"
    file.write_text(file_with(**sections), encoding="utf-8")
    return load(file, environ={}).config


ROUTE = "{path: /, issuers: [students], upstream: students%s}"
UPSTREAM = "{servers: ['http://h:1'], identity: headers, identity_headers: {X-Key: %s}}"

# Before, after, and what is told.
CHANGES = {
    "nothing": ({}, {}, []),
    "a duration": (
        {"server": "{keep_alive: 5s}"},
        {"server": "{keep_alive: 90s}"},
        ["server.keep_alive: 5 -> 90"],
    ),
    "an empty list": (
        {"issuer": f"{{signing_key: {SECRET}}}"},
        {"issuer": f"{{signing_key: {SECRET}, audience: me}}"},
        ["issuers.students.audience: [] -> [me]"],
    ),
    "a section": (
        {"route": ROUTE % ""},
        {"route": ROUTE % ", rate_limit: {rate: 5/s}"},
        ["routes[0].rate_limit: added"],
    ),
    "a secret": (
        {"issuer": f"{{signing_key: {SECRET}}}"},
        {"issuer": f"{{signing_key: {OTHER}}}"},
        ["issuers.students.signing_key: changed"],
    ),
    "a secret among several": (
        {"issuer": f"{{verifying_key: [{SECRET}]}}"},
        {"issuer": f"{{verifying_key: [{OTHER}, {SECRET}]}}"},
        ["issuers.students.verifying_key: changed"],
    ),
    "a password in a URL": (
        {"store": f"{{url: 'redis://:{SECRET}@h'}}"},
        {"store": f"{{url: 'redis://:{OTHER}@h'}}"},
        ["store.url: changed"],
    ),
    "a header that two share": (
        {"upstream": UPSTREAM % SECRET},
        {"upstream": UPSTREAM % OTHER},
        ["upstreams.students.identity_headers.X-Key: changed"],
    ),
    "a claim": (
        {"route": ROUTE % ", require: {scope: [read]}"},
        {"route": ROUTE % ", require: {scope: [write], staff: true}"},
        ["routes[0].require.scope: [read] -> [write]", "routes[0].require.staff: null -> true"],
    ),
}


@pytest.mark.parametrize(("before", "after", "told"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_by_its_key(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], told: list[str]
) -> None:
    assert changes(config(tmp_path, **before), config(tmp_path, **after)) == told


@pytest.mark.parametrize("before_after", CHANGES.values(), ids=CHANGES)
def test_no_secret_is_told(tmp_path: Path, before_after: tuple[dict[str, str], ...]) -> None:
    before, after, _ = before_after
    told = "\n".join(changes(config(tmp_path, **before), config(tmp_path, **after)))
    assert SECRET not in told
    assert OTHER not in told


def test_what_stands_once_is_added_or_removed(tmp_path: Path) -> None:
    one = config(tmp_path)
    two = one.model_copy(
        update={
            "issuers": {**one.issuers, "staff": one.issuers["students"]},
            "routes": (*one.routes, one.routes[0]),
        }
    )
    assert changes(one, two) == ["issuers.staff: added", "routes[1]: added"]
    assert changes(two, one) == ["issuers.staff: removed", "routes[1]: removed"]


@pytest.mark.parametrize(
    "key", ["host: 127.0.0.3", "host: unix:/a", "port: 9", "workers: 3", "socket_mode: '600'"]
)
def test_what_the_start_was_made_from_is_fixed(tmp_path: Path, key: str) -> None:
    store = "{url: redis://h}"
    old = config(tmp_path, store=store)
    new = config(tmp_path, store=store, server=f"{{{key}}}")
    assert fixed_changes(old, new) == [("server", key.partition(":")[0])]
    assert fixed_changes(old, old) == []
