"""The configuration as it is shown: everything that is in force, and no secret."""

import json
from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.config.masked import MASK, masked
from tests.config.samples import SECRET, file_with


def shown(directory: Path, **sections: str) -> dict[str, object]:
    file = directory / "config.yaml"
    file.write_text(file_with(**sections), encoding="utf-8")
    found = masked(load(file, environ={}).config)
    text = json.dumps(found)  # plain data throughout
    assert SECRET not in text
    assert SECRET[8:24] not in text
    return found


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({"issuer": f"{{signing_key: {SECRET}}}"}, id="a key"),
        pytest.param({"issuer": f"{{verifying_key: [{SECRET}, {SECRET[::-1]}]}}"}, id="keys"),
        pytest.param({"store": f"{{url: 'redis://:{SECRET}@h:1/0'}}"}, id="a store's password"),
        pytest.param({"admin": f"{{token: {SECRET}}}"}, id="the admin token"),
        pytest.param(
            {"issuer": f"{{jwk_url: 'https://h/keys?key={SECRET}', algorithm: RS256}}"},
            id="a URL's query",
        ),
        pytest.param(
            {
                "upstream": "{servers: ['http://h:1'], identity: headers, "
                f"identity_headers: {{X-Key: {SECRET}}}}}"
            },
            id="a header that two share",
        ),
    ],
)
def test_a_secret_is_not_shown(tmp_path: Path, sections: dict[str, str]) -> None:
    assert MASK in json.dumps(shown(tmp_path, **sections))


def test_all_keys_are_shown_with_what_is_in_force(tmp_path: Path) -> None:
    found = shown(tmp_path, server="{trusted_proxies: [10.0.0.0/8], keep_alive: 5s}")
    assert set(found) == set(Config.model_fields)
    server = found["server"]
    assert isinstance(server, dict)
    assert server["trusted_proxies"] == ["10.0.0.0/8"]
    assert (server["keep_alive"], server["max_body_size"]) == (5, 100 * 2**20)
    assert found["store"]["url"] == "memory://"  # type: ignore[index]
    assert found["admin"]["token"] is None  # type: ignore[index]
