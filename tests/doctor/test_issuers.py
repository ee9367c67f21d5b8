"""What the doctor says of the settings alone: keys weak or shared, tokens that live long."""

from typing import Any

import pytest

from gateway.config import Config
from gateway.doctor.finding import Severity
from gateway.doctor.issuers import examine_issuers
from tests.factories import OTHER_SECRET, SECRET

GOOD = "Xq3-vT8_zR5yN0mK7wB2cL9dF4gH6jS1pA-uE_iO3tY8rW5x"  # 48: too short for Django's taste
STRONG = f"{GOOD}{GOOD}"


def examined(
    *issuers: dict[str, Any], mint: dict[str, Any] | None = None
) -> dict[tuple[str, str], tuple[Severity, str]]:
    upstream: dict[str, Any] = {"servers": ["http://127.0.0.1:8001"]}
    if mint is not None:
        upstream |= {"identity": "mint", "mint": mint}
    config = Config.model_validate(
        {
            "issuers": {
                f"issuer{n}": {"signing_key": STRONG} | one for n, one in enumerate(issuers)
            },
            "upstreams": {"app": upstream},
            "routes": [{"path": "/", "auth": "none", "upstream": "app"}],
        }
    )
    found = list(examine_issuers(config))
    secrets = [str(one.get("signing_key", STRONG)) for one in issuers]
    assert not any(secret in one.evidence + one.remedy for one in found for secret in secrets)
    return {(one.check, one.subject): (one.severity, one.evidence) for one in found}


def test_sound_settings_have_nothing_to_correct() -> None:
    found = examined({}, {"signing_key": SECRET})
    assert {severity for severity, _ in found.values()} == {Severity.OK}
    assert found["shared_key", "issuers"][0] is Severity.OK


@pytest.mark.parametrize(
    ("key", "severity", "evidence"),
    [
        ("abab" * 20, Severity.ERROR, "fewer than 5 different characters"),
        (f"django-insecure-{STRONG}", Severity.WARNING, "startproject wrote"),
        (GOOD, Severity.WARNING, "weaker than Django asks"),
    ],
    ids=["guessable", "insecure", "short"],
)
def test_a_weak_key_is_told(key: str, severity: Severity, evidence: str) -> None:
    found = examined({"signing_key": key})["weak_key", "issuers.issuer0"]
    assert found[0] is severity
    assert evidence in found[1]


@pytest.mark.parametrize(
    ("first", "second", "severity"),
    [
        ({}, {}, Severity.ERROR),
        ({"issuer": "a"}, {}, Severity.ERROR),
        ({"issuer": "a"}, {"issuer": "b"}, Severity.WARNING),
        ({"audience": "a"}, {"audience": ["b", "c"]}, Severity.WARNING),
        ({"audience": "a"}, {"audience": ["a", "c"]}, Severity.ERROR),
        ({"signing_key": OTHER_SECRET, "verifying_key": [STRONG]}, {}, Severity.ERROR),
        (
            {"signing_key": None, "jwk_url": "https://a.example/keys", "algorithm": "RS256"},
            {"signing_key": None, "jwk_url": "https://a.example/keys", "algorithm": "RS256"},
            Severity.ERROR,
        ),
    ],
    ids=["all", "one iss", "two iss", "two aud", "one aud", "an old key", "a key set"],
)
def test_a_shared_key_is_told(
    first: dict[str, Any], second: dict[str, Any], severity: Severity
) -> None:
    found = examined(first, second)["shared_key", "issuers.issuer0, issuers.issuer1"]
    assert found[0] is severity


@pytest.mark.parametrize(
    ("settings", "evidence"),
    [
        ({"access_token_lifetime": "2h"}, "access_token_lifetime is 2h; RFC 6750 §5.3"),
        (
            {"auth_token_classes": "SlidingToken", "sliding_token_lifetime": "90m"},
            "sliding_token_lifetime is 1.5h",
        ),
        ({"refresh_token_lifetime": "365d"}, "refresh_token_lifetime is 365d; RFC 9700"),
        ({"rotate_refresh_tokens": False}, "rotate_refresh_tokens is false"),
        ({"leeway": "10m"}, "leeway is 10m"),
        ({"refresh_grace": "90s"}, "refresh_grace is 1.5m"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_life_beyond_advice_is_told(settings: dict[str, Any], evidence: str) -> None:
    severity, told = examined(settings)["token_lifetime", "issuers.issuer0"]
    assert severity is Severity.WARNING
    assert told.startswith(evidence)


@pytest.mark.parametrize(("life", "is_told"), [("30s", False), ("1h", True)])
def test_a_long_life_of_minted_tokens_is_told(life: str, is_told: bool) -> None:
    found = examined({}, mint={"issuer": "issuer0", "lifetime": life})
    assert (("token_lifetime", "upstreams.app.mint") in found) is is_told
