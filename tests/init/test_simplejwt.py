"""`gateway init` on simplejwt: each setting by its name, as its documentation lists them."""

from pathlib import Path

import pytest

from gateway.cli import main
from tests.factories import private_pem, public_pem, rsa_key
from tests.init.conftest import SECRET_KEY, Project

URLS = """
from django.contrib import admin
from django.urls import path
from rest_framework_simplejwt.views import (
    TokenBlacklistView, TokenObtainPairView, TokenRefreshView, TokenVerifyView,
)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/token/verify/", TokenVerifyView.as_view()),
    path("api/token/blacklist/", TokenBlacklistView.as_view()),
]
"""

# https://django-rest-framework-simplejwt.readthedocs.io/en/latest/settings.html, all of it
DOCUMENTED = """
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ROTATE_REFRESH_TOKENS": False,
    "BLACKLIST_AFTER_ROTATION": False,
    "UPDATE_LAST_LOGIN": False,
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    "VERIFYING_KEY": "",
    "AUDIENCE": None,
    "ISSUER": None,
    "JSON_ENCODER": None,
    "JWK_URL": None,
    "LEEWAY": 0,
    "AUTH_HEADER_TYPES": ("Bearer",),
    "AUTH_HEADER_NAME": "HTTP_AUTHORIZATION",
    "USER_ID_FIELD": "id",
    "USER_ID_CLAIM": "user_id",
    "USER_AUTHENTICATION_RULE":
        "rest_framework_simplejwt.authentication.default_user_authentication_rule",
    "AUTH_TOKEN_CLASSES": ("rest_framework_simplejwt.tokens.AccessToken",),
    "TOKEN_TYPE_CLAIM": "token_type",
    "TOKEN_USER_CLASS": "rest_framework_simplejwt.models.TokenUser",
    "JTI_CLAIM": "jti",
    "SLIDING_TOKEN_REFRESH_EXP_CLAIM": "refresh_exp",
    "SLIDING_TOKEN_LIFETIME": timedelta(minutes=5),
    "SLIDING_TOKEN_REFRESH_LIFETIME": timedelta(days=1),
    "TOKEN_OBTAIN_SERIALIZER": "rest_framework_simplejwt.serializers.TokenObtainPairSerializer",
    "TOKEN_REFRESH_SERIALIZER": "rest_framework_simplejwt.serializers.TokenRefreshSerializer",
    "TOKEN_VERIFY_SERIALIZER": "rest_framework_simplejwt.serializers.TokenVerifySerializer",
    "TOKEN_BLACKLIST_SERIALIZER":
        "rest_framework_simplejwt.serializers.TokenBlacklistSerializer",
    "SLIDING_TOKEN_OBTAIN_SERIALIZER":
        "rest_framework_simplejwt.serializers.TokenObtainSlidingSerializer",
    "SLIDING_TOKEN_REFRESH_SERIALIZER":
        "rest_framework_simplejwt.serializers.TokenRefreshSlidingSerializer",
    "CHECK_REVOKE_TOKEN": False,
    "REVOKE_TOKEN_CLAIM": "hash_password",
    "CHECK_USER_IS_ACTIVE": True,
}
"""


def test_the_documented_settings_are_mapped_by_name(project: Project) -> None:
    project.write(settings=DOCUMENTED, urls=URLS)
    done = project.init()
    assert done.said == ""
    assert done.issuer == {
        "profile": "simplejwt",
        "profile_version": "5.5",
        "algorithm": "HS256",
        "signing_key": "${PROJECT_KEY}",
        "auth_header_types": ["Bearer"],
        "access_token_lifetime": "5m",
        "refresh_token_lifetime": "1d",
        "rotate_refresh_tokens": False,
        "endpoints": {
            "hosts": ["api.example.org", "example.net", "*.example.net"],
            "obtain": "/api/token/",
            "refresh": "/api/token/refresh/",
            "verify": "/api/token/verify/",
            "blacklist": "/api/token/blacklist/",
        },
    }


@pytest.mark.parametrize("settings", ["", "SIMPLE_JWT = {}", DOCUMENTED])
def test_what_is_not_set_has_the_packages_default(project: Project, settings: str) -> None:
    project.write(settings=DOCUMENTED, urls=URLS)
    documented = project.init().text
    project.write(settings=settings, urls=URLS)
    assert project.init().text == documented


def test_the_file_passes_the_check_with_its_variable(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(settings=DOCUMENTED, urls=URLS)
    file = project.directory / "config.yaml"
    done = project.init("--output", str(file))
    assert (done.code, done.said) == (0, "")
    assert "it needs the environment variable PROJECT_KEY\n" in done.text
    assert main(["check", "--config", str(file)]) == 0
    assert capsys.readouterr() == ("ok\n", "")
    monkeypatch.delenv("PROJECT_KEY")
    assert main(["check", "--config", str(file)]) == 2
    assert "variable PROJECT_KEY is not set" in capsys.readouterr().out


CHANGED = {
    "ACCESS_TOKEN_LIFETIME": ("timedelta(minutes=90)", "access_token_lifetime", "90m"),
    "REFRESH_TOKEN_LIFETIME": ("timedelta(days=14)", "refresh_token_lifetime", "14d"),
    "AUDIENCE": ('["shop", "till"]', "audience", ["shop", "till"]),
    "ISSUER": ('"https://id.example/$x"', "issuer", "https://id.example/$$x"),
    "LEEWAY": ("timedelta(milliseconds=1500)", "leeway", "1500ms"),
    "AUTH_HEADER_TYPES": ('("JWT", "Bearer")', "auth_header_types", ["JWT", "Bearer"]),
    "AUTH_HEADER_NAME": ('"HTTP_X_ACCESS_TOKEN"', "auth_header_name", "X-Access-Token"),
    "USER_ID_CLAIM": ('"sub"', "user_id_claim", "sub"),
    "TOKEN_TYPE_CLAIM": ('"use"', "token_type_claim", "use"),
    "JTI_CLAIM": ('"id"', "jti_claim", "id"),
    "ALGORITHM": ('"HS384"', "algorithm", "HS384"),
    "ROTATE_REFRESH_TOKENS": ("True", "blacklist_after_rotation", False),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_that_differs_is_said(project: Project, name: str) -> None:
    value, key, written = CHANGED[name]
    project.write(settings=f"SIMPLE_JWT = {{{name!r}: {value}}}\n", urls=URLS)
    done = project.init()
    assert done.issuer[key] == written
    assert done.said == ""


@pytest.mark.parametrize("app", ["True", "False"])
def test_the_blacklist_app_makes_spent_tokens_count(project: Project, app: str) -> None:
    project.write(
        settings="SIMPLE_JWT = dict(ROTATE_REFRESH_TOKENS=True, BLACKLIST_AFTER_ROTATION=True)\n"
        f'INSTALLED_APPS += ["rest_framework_simplejwt.token_blacklist"] * {app}\n',
        urls=URLS,
    )
    issuer = project.init().issuer
    assert issuer["rotate_refresh_tokens"] is True
    assert issuer["blacklist_after_rotation"] is (app == "True")


def test_a_key_of_its_own_is_told_by_its_variable(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "another-key-of-the-project-with-more-than-32-characters"
    project.write(settings=f'SIMPLE_JWT = {{"SIGNING_KEY": "{key}"}}', urls=URLS)
    assert project.init().issuer["signing_key"] == "${JWT_SIGNING_KEY}"
    monkeypatch.setenv("SHOP_TOKEN_KEY", key)
    assert project.init().issuer["signing_key"] == "${SHOP_TOKEN_KEY}"


def test_a_secret_key_written_into_the_settings_has_the_usual_variable(project: Project) -> None:
    project.write(settings=f'SECRET_KEY = "{SECRET_KEY[::-1]}"', urls=URLS)
    done = project.init()
    assert done.issuer["signing_key"] == "${DJANGO_SECRET_KEY}"
    assert SECRET_KEY[::-1] not in done.text + done.said


def test_a_key_pair_is_verified_by_its_public_half(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = rsa_key()
    monkeypatch.setenv("SHOP_PRIVATE", private_pem(pair))
    public = project.directory / "public.pem"
    public.write_text(public_pem(pair))
    monkeypatch.setenv("SHOP_PUBLIC_FILE", str(public))
    project.write(
        settings='SIMPLE_JWT = {"ALGORITHM": "RS256", "SIGNING_KEY": os.environ["SHOP_PRIVATE"],'
        ' "VERIFYING_KEY": open(os.environ["SHOP_PUBLIC_FILE"]).read()}',
        urls=URLS,
    )
    done = project.init()
    assert done.issuer["verifying_key"] == {"file": "${SHOP_PUBLIC_FILE}"}
    assert "signing_key" not in done.issuer
    assert "# signing_key: ${SHOP_PRIVATE}\n" in done.text
    assert not {line for line in private_pem(pair).splitlines() if line in done.text}
    file = project.directory / "config.yaml"
    file.write_text(done.text)
    assert main(["check", "--config", str(file)]) == 0


def test_published_keys_are_fetched(project: Project) -> None:
    url = "https://id.example/jwks.json"
    keys = '"ALGORITHM": "RS256", "SIGNING_KEY": "", "VERIFYING_KEY": ""'
    project.write(settings=f'SIMPLE_JWT = {{{keys}, "JWK_URL": "{url}"}}', urls=URLS)
    issuer = project.init().issuer
    assert issuer["jwk_url"] == url
    assert "verifying_key" not in issuer


def test_sliding_tokens_take_the_place_of_pairs(project: Project) -> None:
    project.write(
        settings='SIMPLE_JWT = {"SLIDING_TOKEN_LIFETIME": timedelta(hours=1), '
        '"AUTH_TOKEN_CLASSES": ["rest_framework_simplejwt.tokens.SlidingToken"]}',
        urls=URLS.replace("TokenObtainPairView", "TokenObtainSlidingView").replace(
            "TokenRefreshView", "TokenRefreshSlidingView"
        ),
    )
    done = project.init()
    assert done.issuer["auth_token_classes"] == ["SlidingToken"]
    assert done.issuer["sliding_token_lifetime"] == "1h"
    assert done.issuer["endpoints"]["refresh"] == "/api/token/refresh/"
    assert done.said == ""


def test_sliding_views_beside_a_pairs_api_stay_the_apps(project: Project) -> None:
    project.write(urls=URLS.replace("TokenRefreshView", "TokenRefreshSlidingView"))
    done = project.init()
    assert done.issuer["endpoints"]["refresh"] is None
    assert "warning: refresh at /api/token/refresh/ stays the app's: " in done.said
    assert "# - refresh at /api/token/refresh/ stays the app's: " in done.text


UNSUPPORTED = {
    "rule": ('{"USER_AUTHENTICATION_RULE": "shop.settings.rule"}', "USER_AUTHENTICATION_RULE"),
    "revoked-by-password": ('{"CHECK_REVOKE_TOKEN": True}', "CHECK_REVOKE_TOKEN"),
    "short-key": ('{"SIGNING_KEY": "short"}', "too short for HS256"),
    "token-class": ('{"AUTH_TOKEN_CLASSES": ["shop.tokens.Own"]}', "shop.tokens.Own is taken"),
}


@pytest.mark.parametrize(("settings", "warning"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_has_no_counterpart_is_a_warning_on_stderr_and_in_the_file(
    project: Project, settings: str, warning: str
) -> None:
    project.write(settings=f"def rule(user): return True\nSIMPLE_JWT = {settings}", urls=URLS)
    (project.directory / "shop" / "tokens.py").write_text(
        "from rest_framework_simplejwt.tokens import AccessToken\nclass Own(AccessToken): pass\n"
    )
    done = project.init()
    assert done.code == 0
    assert warning in done.said
    assert warning in done.text


REFUSED = {
    "algorithm": ('{"ALGORITHM": "none"}', "signed by none"),
    "header": ('{"AUTH_HEADER_NAME": "REMOTE_USER"}', "AUTH_HEADER_NAME REMOTE_USER"),
    "password-in-url": (
        '{"ALGORITHM": "RS256", "JWK_URL": "https://u:hush@id.example/"}',
        "JWK_URL holds a user or password",
    ),
    "no-lifetime": ('{"ACCESS_TOKEN_LIFETIME": timedelta(0)}', "access_token_lifetime"),
}


@pytest.mark.parametrize(("settings", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_the_gateway_can_not_serve_is_refused(
    project: Project, settings: str, reason: str, tmp_path: Path
) -> None:
    project.write(settings=f"SIMPLE_JWT = {settings}", urls=URLS)
    file = tmp_path / "config.yaml"
    done = project.init("--output", str(file))
    assert done.code == 1
    assert reason in done.said
    assert "hush" not in done.said
    assert not file.exists()
