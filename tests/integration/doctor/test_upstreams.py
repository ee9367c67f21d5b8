"""`gateway doctor` before real Django projects under Gunicorn: well, and with each fault."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load
from gateway.doctor import Severity, examine
from gateway.doctor.exposure import own_addresses
from tests.integration.doctor.site import Site, doctor, findings, written
from tests.integration.servers import RunningGateway

Run = Callable[..., Site]

BELIEVING = {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}
# Gunicorn itself believes X-Forwarded-Proto from the loopback, unless it is told whom to believe.
STRANGER = ("--forwarded-allow-ips", "192.0.2.9")
BEHIND_TLS = {"trusted_proxies": ["192.0.2.7"]}
BY_HEADER = {"identity": "headers", "identity_headers": {"X-User-Id": "{user_id}"}}


def test_the_sample_apps_have_nothing_to_correct(gateway: RunningGateway) -> None:
    done = doctor(
        gateway.file,
        "--json",
        "--path",
        "/studentapi/",
        "--path",
        "/api/user/",
        "--path",
        "/api/emp/",
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert [one for one in told if one["severity"] in ("error", "warning")] == []
    alike = [
        one["evidence"] for one in told if (one["check"], one["severity"]) == ("wording", "ok")
    ]
    assert [re.search(r"as the gateway does for (\w+)", one)[1] for one in alike] == [  # type: ignore[index]
        *("students", "accounts", "employees")
    ]
    exposed = {one["evidence"] for one in told if one["check"] == "upstream_exposed"}
    assert "a unix socket: no network leads to it" in exposed
    assert sum("answers on the loopback alone" in one for one in exposed) == 2


def test_a_sound_site_is_told_for_people(run_site: Run, tmp_path: Path) -> None:
    done = doctor(written(run_site().config(), tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    *_, last = done.stdout.splitlines()
    assert last.startswith("0 error, 0 warning, ")
    for line in (
        r"^ok       forged_identity  upstreams\.site\.servers\[0\]: GET /api/me/ refuses user 1 ",
        r"^ok       underscore_headers  \S+ POST /admin/login/ takes X-CSRFToken, and not X_CSRFTo",
        r"^ok       csrf_origin ",
        r"^ok       https_redirect ",
        r"^ok       keep_alive  .* lives longer than 1\.25 s$",
        r"^ok       wording  .*: no token, a token that is none, an expired token$",
    ):
        assert re.search(line, done.stdout, re.MULTILINE), line


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    config = Site(None, "http://127.0.0.1:1").config(  # type: ignore[arg-type]
        servers=["http://127.0.0.1:1", "unix:nowhere.sock"]
    )
    done = doctor(written(config, tmp_path))
    assert done.returncode == 1
    assert "servers[0]: http://127.0.0.1:1: Connection refused\n" in done.stdout
    assert "nowhere.sock: No such file or directory\n" in done.stdout


class TestHeaderNames:
    def test_underscores_that_are_taken_are_told(self, run_site: Run, tmp_path: Path) -> None:
        site = run_site(arguments=("--header-map", "dangerous"))
        found = findings(written(site.config(), tmp_path))["underscore_headers"]
        assert found["severity"] == "warning"
        assert "takes X_CSRFToken for X-CSRFToken" in found["evidence"]
        assert "--header-map drop" in found["remedy"]

    def test_underscores_that_are_refused_are_well(self, run_site: Run, tmp_path: Path) -> None:
        site = run_site(arguments=("--header-map", "refuse"))
        found = findings(written(site.config(), tmp_path))["underscore_headers"]
        assert (found["severity"], found["remedy"]) == ("ok", "")
        assert "answered 400" in found["evidence"]

    def test_an_identity_with_underscores_that_is_believed_is_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(arguments=("--header-map", "dangerous"), believes="X-User-Id")
        found = findings(written(site.config(**BY_HEADER), tmp_path))["underscore_headers"]
        assert found["severity"] == "error"
        assert "401 without and 200 with X_User_Id" in found["evidence"]

    def test_what_can_not_be_told_is_unknown(self, run_site: Run, tmp_path: Path) -> None:
        site = run_site(settings={"ROOT_URLCONF": "plain_urls"})
        found = findings(written(site.config(), tmp_path))
        for check in ("underscore_headers", "csrf_origin", "forged_identity", "wording"):
            assert found[check]["severity"] == "info"
            assert found[check]["evidence"].startswith("unknown: ")


class TestIdentity:
    def test_a_header_that_clients_may_send_is_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(believes="Remote-User")
        found = findings(written(site.config(), tmp_path))["forged_identity"]
        assert found["severity"] == "error"
        assert "answers 401 without and 200 with Remote-User;" in found["evidence"]
        assert "identity: headers" in found["remedy"]

    def test_the_gateways_own_header_is_believed_from_every_process(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(believes="X-User-Id")
        found = findings(written(site.config(**BY_HEADER), tmp_path))
        assert found["forged_identity"]["severity"] == "warning"
        assert "401 without and 200 with X-User-Id" in found["forged_identity"]["evidence"]
        assert "X_User_Id has no effect" in found["underscore_headers"]["evidence"]

    def test_it_is_an_error_where_others_reach_the_server(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        if not own_addresses():
            pytest.skip("this machine has no address beside the loopback")
        site = run_site(believes="X-User-Id", bind="0.0.0.0:0")
        found = findings(written(site.config(**BY_HEADER), tmp_path))
        assert found["upstream_exposed"]["severity"] in ("warning", "error")
        assert f"answers on {own_addresses()[0]} too" in found["upstream_exposed"]["evidence"]
        assert found["forged_identity"]["severity"] == "error"

    def test_on_a_socket_it_is_as_meant(self, run_site: Run, tmp_path: Path) -> None:
        site = run_site(believes="X-User-Id", bind=f"unix:{tmp_path}/site.sock")
        found = findings(written(site.config(**BY_HEADER), tmp_path))
        assert found["forged_identity"]["severity"] == "info"
        assert found["upstream_exposed"]["severity"] in ("ok", "info")


class TestSchemes:
    def test_a_redirect_loop_is_an_error(self, run_site: Run, tmp_path: Path) -> None:
        site = run_site(arguments=STRANGER, settings={"SECURE_SSL_REDIRECT": True})
        config = {**site.config(), "server": BEHIND_TLS}
        found = findings(written(config, tmp_path))["https_redirect"]
        assert found["severity"] == "error"
        assert "X-Forwarded-Proto: https is answered 301 to https again" in found["evidence"]
        assert "SECURE_PROXY_SSL_HEADER = " in found["remedy"]

    def test_a_redirect_that_nobody_can_satisfy_is_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(settings={"SECURE_SSL_REDIRECT": True, **BELIEVING})
        found = findings(written(site.config(), tmp_path))["https_redirect"]
        assert found["severity"] == "error"
        assert "server.trusted_proxies" in found["remedy"]

    def test_a_site_for_https_alone_is_asked_as_by_https(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(arguments=STRANGER, settings={"SECURE_SSL_REDIRECT": True, **BELIEVING})
        found = findings(written({**site.config(), "server": BEHIND_TLS}, tmp_path))
        checks = ("https_redirect", "csrf_origin", "wording", "underscore_headers")
        assert {check: found[check]["severity"] for check in checks} == dict.fromkeys(checks, "ok")

    @pytest.mark.parametrize(
        ("server", "severity"), [(BEHIND_TLS, "error"), ({}, "info")], ids=["behind TLS", "plain"]
    )
    def test_a_form_whose_origin_fails_is_told(
        self, server: dict[str, Any], severity: str, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(arguments=STRANGER)
        found = findings(written({**site.config(), "server": server}, tmp_path))["csrf_origin"]
        assert found["severity"] == severity
        assert "Origin: https://localhost is answered 403" in found["evidence"]
        assert "CSRF_TRUSTED_ORIGINS = ['https://localhost']" in found["remedy"]

    def test_a_host_that_django_does_not_know_is_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        config = run_site().config()
        for route in config["routes"]:
            route["hosts"] = ["api.example.org"]
        found = findings(written(config, tmp_path))
        assert found["allowed_hosts"]["severity"] == "error"
        assert "ALLOWED_HOSTS += ['api.example.org']" in found["allowed_hosts"]["remedy"]
        assert found["wording"]["severity"] == "ok"  # asked by another name


class TestWording:
    @pytest.mark.parametrize(
        "issuer",
        [{"profile": "drf-jwt"}, {"profile_version": "5.4"}, {"profile": "jwt"}],
        ids=["package", "release", "plain"],
    )
    def test_another_profile_is_an_error_and_the_right_one_is_named(
        self, issuer: dict[str, str], run_site: Run, tmp_path: Path
    ) -> None:
        config = run_site().config()
        config["issuers"]["site"].update(issuer)
        found = findings(written(config, tmp_path))["wording"]
        assert found["severity"] == "error"
        assert found["remedy"] == ("set issuers.site to profile: simplejwt, profile_version: '5.5'")

    def test_another_key_than_the_upstreams_is_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        config = run_site().config()
        config["issuers"]["site"]["signing_key"] = "another-key-than-that-of-the-site-" * 2
        found = findings(written(config, tmp_path))["wording"]
        assert found["severity"] == "error"
        assert '"Token is invalid"' in found["evidence"]
        assert '"Token is expired"' in found["evidence"]
        assert "give issuers.site the key" in found["remedy"]

    def test_an_upstream_that_lets_expired_tokens_in_is_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(settings={"SIMPLE_JWT": {"LEEWAY": 86_400}})
        found = findings(written(site.config(), tmp_path))["wording"]
        assert found["severity"] == "error"
        assert (
            "with an expired token: the upstream answers 200, the gateway 401"
            in (found["evidence"])
        )

    def test_words_of_no_package_are_a_warning(self, run_site: Run, tmp_path: Path) -> None:
        site = run_site(settings={"REST_FRAMEWORK": {"EXCEPTION_HANDLER": "project.own_words"}})
        found = findings(written(site.config(), tmp_path))["wording"]
        assert found["severity"] == "warning"
        assert '401 {"error":"Authentication credentials were not provided."}' in found["evidence"]


class TestConnections:
    def test_connections_that_end_too_early_are_an_error(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        site = run_site(arguments=("--keep-alive", "1"))
        found = findings(written(site.config(timeouts={"idle": "5s"}), tmp_path))["keep_alive"]
        assert found["severity"] == "error"
        seconds = re.search(r"closed after (\d\.\d) s; timeouts\.idle is 5 s", found["evidence"])
        assert seconds is not None
        assert 0.9 <= float(seconds[1]) <= 3
        assert "upstreams.site.timeouts.idle" in found["remedy"]

    def test_a_sync_worker_is_a_hint(self, run_site: Run, tmp_path: Path) -> None:
        found = findings(written(run_site(threads=1).config(), tmp_path))["keep_alive"]
        assert found["severity"] == "info"
        assert "each answer ends its connection" in found["evidence"]

    async def test_a_clock_that_differs_is_an_error(self, run_site: Run, tmp_path: Path) -> None:
        config = load(written(run_site().config(), tmp_path), environ={}).config
        found = await examine(config, wall=lambda: time.time() + 120)
        (skew,) = [one for one in found if one.check == "clock_skew"]
        assert skew.severity is Severity.ERROR
        assert re.search(r"its clock is 1(19|20|21)\.\d s behind this machine's", skew.evidence)

    def test_a_server_on_an_address_of_the_network_is_told(
        self, run_site: Run, tmp_path: Path
    ) -> None:
        if not own_addresses():
            pytest.skip("this machine has no address beside the loopback")
        address = own_addresses()[0]
        host = f"[{address}]" if address.version == 6 else f"{address}"
        site = run_site(bind=f"{host}:0")
        found = findings(written(site.config(), tmp_path))["upstream_exposed"]
        assert found["severity"] == ("error" if address.is_global else "warning")
        assert str(address) in found["evidence"]
        assert "127.0.0.1 or on a unix socket" in found["remedy"]
