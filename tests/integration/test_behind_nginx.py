"""A real nginx in front, over kept connections: Django hears of the right client."""

import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

import pytest

from examples.processes import Processes
from tests.integration.fronts import certificate, start_nginx
from tests.integration.servers import RunningGateway, start_gateway
from tests.ports import free_ports

CLIENT = "127.0.0.5"  # any address of the loopback that is no trusted proxy

HTTP = """\
    server {
        listen 127.0.0.1:PLAIN;
        listen 127.0.0.1:TLS ssl;
        ssl_certificate tls.pem;
        ssl_certificate_key tls.pem;
        location / {
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }
    }
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    plain: int
    tls: int

    def ask(
        self, *, is_tls: bool, headers: Sequence[tuple[str, str]] = (), times: int = 1
    ) -> list[dict[str, Any]]:
        """What the echo app was told by requests from CLIENT, one after another."""
        source = (CLIENT, 0)
        connection: HTTPConnection
        if is_tls:
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            connection = HTTPSConnection(
                "127.0.0.1", self.tls, source_address=source, context=trusting, timeout=30
            )
        else:
            connection = HTTPConnection("127.0.0.1", self.plain, source_address=source, timeout=30)
        answers = []
        try:
            for _ in range(times):
                connection.request("GET", "/shop/", headers=dict(headers))
                response = connection.getresponse()
                answers.append(response.read())
                assert response.status == 200
        finally:
            connection.close()
        return [json.loads(answer) for answer in answers]


Front = Callable[[list[str]], tuple[Nginx, RunningGateway]]


@pytest.fixture(scope="module")
def front(echo: str, children: Processes, tmp_path_factory: pytest.TempPathFactory) -> Front:
    """nginx before a gateway that believes these proxies."""

    def start(trusted: list[str]) -> tuple[Nginx, RunningGateway]:
        directory = tmp_path_factory.mktemp("nginx")
        config = {
            "server": {"trusted_proxies": trusted},
            "upstreams": {"echo": {"servers": [echo]}},
            "routes": [{"path": "/", "auth": "none", "upstream": "echo"}],
        }
        gateway = start_gateway(config, directory=directory, children=children)
        nginx = Nginx(*free_ports(2))
        (directory / "tls.pem").write_bytes(certificate())
        start_nginx(
            HTTP.replace("PLAIN", str(nginx.plain)).replace("TLS", str(nginx.tls)),
            gateway=gateway.address,
            port=nginx.plain,
            directory=directory,
            children=children,
        )
        return nginx, gateway

    return start


@pytest.fixture(scope="module")
def nginx(front: Front) -> Nginx:
    return front(["127.0.0.1/32"])[0]


@pytest.mark.parametrize(("is_tls", "scheme"), [(False, "http"), (True, "https")])
def test_django_hears_of_the_client_behind_nginx(nginx: Nginx, is_tls: bool, scheme: str) -> None:
    for told in nginx.ask(is_tls=is_tls, times=5):
        port = nginx.tls if is_tls else nginx.plain
        assert told["scheme"] == scheme
        assert told["meta"]["HTTP_X_FORWARDED_FOR"] == f"{CLIENT}, 127.0.0.1"
        assert told["meta"]["HTTP_X_FORWARDED_PROTO"] == scheme
        assert told["meta"]["HTTP_X_FORWARDED_HOST"] == f"127.0.0.1:{port}"
        assert told["meta"]["HTTP_HOST"] == f"127.0.0.1:{port}"


def test_a_forgery_before_nginx_stays_left_of_the_client(nginx: Nginx) -> None:
    forged = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https")]
    (told,) = nginx.ask(is_tls=False, headers=forged)
    chain = told["meta"]["HTTP_X_FORWARDED_FOR"].split(", ")
    assert chain[-2:] == [CLIENT, "127.0.0.1"]
    assert told["scheme"] == "http"


def test_an_nginx_that_is_not_trusted_is_not_believed(front: Front) -> None:
    nginx, _ = front([])
    (told,) = nginx.ask(is_tls=True)
    assert told["meta"]["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert told["meta"]["HTTP_X_FORWARDED_PROTO"] == told["scheme"] == "http"
